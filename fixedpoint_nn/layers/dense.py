# SPDX-License-Identifier: MIT
"""Dense: every output is a weighted sum of every input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import accumulator_point, cast_point, demand_numbers, parameter
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

    def __post_init__(self) -> None:
        demand_numbers(self)

    def __call__(self, x: Number) -> Any:
        if x.shape[-1] != self.weight.shape[0]:
            raise ValueError(
                f"a Dense layer of {self.weight.shape[0]} inputs takes (..., {self.weight.shape[0]}), and this has "
                f"shape {x.shape}; put a Flatten() before it, or give samples of that shape"
            )
        y = x.dot(self.weight, self.accumulator)
        return (y if self.bias is None else y + self.bias).cast(self.out)
