# SPDX-License-Identifier: MIT
"""One operation of a quantised file during conversion, with the quantiser that follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.onnx.integers.chain import Link
from fixedpoint_nn.interchange.onnx.step import OnnxStep, Result

Convert = Callable[[Any], "Result | Sequence[Result]"]  # takes an `IntegerStep`


@dataclass
class IntegerStep(OnnxStep):
    """An operation, with the `rounding` of its only consumer, after the operations `between`; None if none rounds."""

    rounding: Any = None
    between: tuple[Link, ...] = ()
