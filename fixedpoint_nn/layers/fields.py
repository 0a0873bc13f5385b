# SPDX-License-Identifier: MIT
"""What a layer's fields are for: parameters, and the places where hardware rounds."""

from __future__ import annotations

from dataclasses import field
from typing import Any

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
