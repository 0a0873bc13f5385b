# SPDX-License-Identifier: MIT
"""The fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import accumulator_point, cast_point, demand_numbers, parameter
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Dense:
    """y = x @ weight + bias, then a cast to `out`: (..., inputs) -> (..., outputs).

    weight is (inputs, outputs), bias (outputs,) or None. Without `out` no bit is lost; without `accumulator` sums
    are exact.

    >>> from fixedpoint_nn import FixedArray, Q, Quantizer, layers
    >>> q = Quantizer(Q(4, 4))
    >>> dense = layers.Dense(FixedArray.from_float([[0.5], [0.25]], q), out=q)
    >>> dense(FixedArray.from_float([[1.0, 2.0]], q)).to_float()
    array([[1.]])
    """

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
