# SPDX-License-Identifier: MIT
"""The table of operators of quantised files."""

from __future__ import annotations

from collections.abc import Callable

from fixedpoint_nn.interchange.onnx.integers.step import Convert
from fixedpoint_nn.interchange.onnx.step import OperatorConverter

INTEGERS: dict[str, OperatorConverter] = {}


def operator(name: str, becomes: str = "", limits: str = "") -> Callable[[Convert], Convert]:
    """A decorator that registers the converter of an operator for integers; `becomes` and `limits` are for the docs."""

    def register(convert: Convert) -> Convert:
        INTEGERS[name] = OperatorConverter(convert, becomes, limits)
        return convert

    return register
