# SPDX-License-Identifier: MIT
"""Importing this module registers the operators of quantised files in the table `INTEGERS`."""

from fixedpoint_nn.interchange.onnx.integers import (
    elementwise,
    kernels,
    masking,
    normalizing,
    products,
    qonnx,
    quantizing,
    regions,
    resizing,
    runtime_kernels,
)

__all__ = [
    "elementwise",
    "kernels",
    "masking",
    "normalizing",
    "products",
    "qonnx",
    "quantizing",
    "regions",
    "resizing",
    "runtime_kernels",
]
