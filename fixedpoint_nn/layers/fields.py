# SPDX-License-Identifier: MIT
"""What a layer's fields are for: parameters, and the places where hardware rounds."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any

import numpy as np

PARAMETER, CAST, TABLE, ACCUMULATOR = "parameter", "cast", "table", "accumulator"
INLINE = "inline"


def parameter(**options: Any) -> Any:
    """A number that the layer multiplies with or adds."""
    return field(metadata={"kind": PARAMETER}, **options)


def constant(**options: Any) -> Any:
    """A parameter that training leaves alone (a reciprocal, a running mean)."""
    return field(metadata={"kind": PARAMETER, "trained": False}, **options)


def cast_point() -> Any:
    """A quantizer; None keeps every bit."""
    return field(default=None, metadata={"kind": CAST})


def table_point(function: str, address: str) -> Any:
    """A table of `function`; the cast point `address` makes its addresses. None: the real function."""
    return field(default=None, metadata={"kind": TABLE, "function": function, "address": address})


def accumulator_point() -> Any:
    """A modelled accumulator; None is exact."""
    return field(default=None, metadata={"kind": ACCUMULATOR})


def demand_numbers(layer: Any) -> None:
    """Raise a sentence unless every parameter is a number, such as a Tensor: a size or a bare array is none."""
    for place in fields(layer):
        value = getattr(layer, place.name)
        if place.metadata.get("kind") != PARAMETER or (value is None and place.default is None):
            continue
        name = type(layer).__name__
        if isinstance(value, np.ndarray | np.generic):
            raise TypeError(f"{name}'s {place.name} is a bare array; write Tensor(...) around it")
        if not hasattr(value, "shape"):
            raise TypeError(
                f"{name} takes its numbers, and its {place.name} here is {value!r:.40}; a new layer of given sizes "
                "comes from fixedpoint_nn.network.initialise.Initialiser(seed), such as "
                "Initialiser(0).dense(5, 3)"
            )
