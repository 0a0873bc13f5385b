# SPDX-License-Identifier: MIT
"""A step of the conversion of a quantised file: it knows the quantiser that follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.onnx.integers.chain import Link
from fixedpoint_nn.interchange.onnx.step import Result, Step

Convert = Callable[[Any], "Result | Sequence[Result]"]  # of an `IntegerStep`


@dataclass
class IntegerStep(Step):
    """`rounding` is how the only user of the result rounds it, after the operations `between`; None if none does."""

    rounding: Any = None
    between: tuple[Link, ...] = ()
