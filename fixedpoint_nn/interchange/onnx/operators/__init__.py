# SPDX-License-Identifier: MIT
"""Converters of ONNX's operators; importing this package fills the table `OPERATORS`."""

from fixedpoint_nn.interchange.onnx.operators import (
    activations,
    conditions,
    contractions,
    convolutions,
    curves,
    elementwise,
    movement,
    normalizations,
    pooling,
    products,
    recurrent,
    reductions,
    resizing,
    shapes,
)

__all__ = [
    "activations",
    "conditions",
    "contractions",
    "convolutions",
    "curves",
    "elementwise",
    "movement",
    "normalizations",
    "pooling",
    "products",
    "recurrent",
    "reductions",
    "resizing",
    "shapes",
]
