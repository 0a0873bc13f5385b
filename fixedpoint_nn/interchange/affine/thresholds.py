# SPDX-License-Identifier: MIT
"""Layers that compute a step function by its thresholds, if no single multiplication does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.affine.rescale import Rescale
from fixedpoint_nn.layers.fields import cast_point, parameter, table_point
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.value_table import ValueTable


@dataclass(frozen=True)
class Refined:
    """y + [x >= next(y)] with y = rescale(x): y is right or one too low, and next(y) is the threshold of the next code.

    `offset` maps y to its channel's part of the table; `signs` negates sums of decreasing channels.
    """

    rescale: Rescale
    offset: Number = parameter()
    signs: Number | None = parameter(default=None)
    address: Quantizer | None = cast_point()
    following: ValueTable | None = table_point("following", "address")
    reached: Quantizer | None = cast_point()
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        if self.signs is not None:
            x = x * self.signs
        y = self.rescale(x)
        begin = (y + self.offset).cast(self.address).lookup("following", self.following)
        return (y + (x - begin + 1).cast(self.reached)).cast(self.out)


@dataclass(frozen=True)
class Thresholds:
    """low + the number of thresholds that x has reached; `first` is (steps, channels) or (steps, 1).

    `reached` saturates x - first + 1 to 0 and 1; `count` is the format of their number.
    """

    first: Number = parameter()
    low: int = 0
    signs: Number | None = parameter(default=None)
    reached: Quantizer | None = cast_point()
    count: Quantizer | None = cast_point()
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        if self.signs is not None:
            x = x * self.signs
        total: Any = None
        for step in range(self.first.shape[0]):
            one = (x - self.first[step] + 1).cast(self.reached)
            total = one if total is None else (total + one).cast(self.count)
        return (total + self.low).cast(self.out)
