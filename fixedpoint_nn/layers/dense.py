# SPDX-License-Identifier: MIT
"""Dense: every output is a weighted sum of every input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import accumulator_point, cast_point, parameter
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Dense:
    """y = x @ weight + bias; weight is (inputs, outputs)."""

    weight: Number = parameter()
    bias: Number | None = parameter(default=None)
    out: Quantizer | None = cast_point()
    accumulator: Accumulator | None = accumulator_point()

    def __call__(self, x: Number) -> Any:
        y = x.dot(self.weight, self.accumulator)
        return (y if self.bias is None else y + self.bias).cast(self.out)
