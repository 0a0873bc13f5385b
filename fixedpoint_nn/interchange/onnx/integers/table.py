# SPDX-License-Identifier: MIT
"""The operators that compute with integers of a quantised file."""

from __future__ import annotations

from collections.abc import Callable

from fixedpoint_nn.interchange.onnx.integers.step import Convert
from fixedpoint_nn.interchange.onnx.step import Operator

INTEGERS: dict[str, Operator] = {}


def operator(name: str, becomes: str = "", limits: str = "") -> Callable[[Convert], Convert]:
    """Register how an operator computes with integers; those that floats have too are named once, with them."""

    def register(convert: Convert) -> Convert:
        INTEGERS[name] = Operator(convert, becomes, limits)
        return convert

    return register
