# SPDX-License-Identifier: MIT
"""The operators of ONNX, by kind; importing this fills the table `OPERATORS`."""

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
