# SPDX-License-Identifier: MIT
"""The operators of quantised files, by kind; importing this fills the table `INTEGERS`."""

from fixedpoint_nn.interchange.onnx.integers import (
    elementwise,
    kernels,
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
    "normalizing",
    "products",
    "qonnx",
    "quantizing",
    "regions",
    "resizing",
    "runtime_kernels",
]
