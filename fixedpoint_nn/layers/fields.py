# SPDX-License-Identifier: MIT
"""The kinds of a layer's fields: parameters, constants, cast points, table points, accumulator points.

The kind stands in the metadata of the dataclass field; calibration, training and files find fields by it.
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any

import numpy as np

PARAMETER, CAST, TABLE, ACCUMULATOR = "parameter", "cast", "table", "accumulator"
INLINE = "inline"


def parameter(**options: Any) -> Any:
    """A field for a number (`Tensor` or `FixedArray`) that training changes and quantising rounds, such as a weight."""
    return field(metadata={"kind": PARAMETER}, **options)


def constant(**options: Any) -> Any:
    """A parameter that training leaves alone, such as a reciprocal or a running mean."""
    return field(metadata={"kind": PARAMETER, "trained": False}, **options)


def cast_point() -> Any:
    """A field for the `Quantizer` of one cast; None keeps every bit."""
    return field(default=None, metadata={"kind": CAST})


def table_point(function: str, address: str) -> Any:
    """A field for a `Table` of `function`, or None for the function in floats.

    `address` names the cast point whose format is the table's input format.
    """
    return field(default=None, metadata={"kind": TABLE, "function": function, "address": address})


def accumulator_point() -> Any:
    """A field for a modelled `Accumulator`; None adds exactly."""
    return field(default=None, metadata={"kind": ACCUMULATOR})


def demand_numbers(layer: Any) -> None:
    """Raise TypeError unless every parameter of the layer is a number, such as a `Tensor`."""
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
