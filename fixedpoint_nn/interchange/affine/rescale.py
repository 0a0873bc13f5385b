# SPDX-License-Identifier: MIT
"""Rescaling layers: integer sums to integers of another scale, with the roundings of the model's own runtime.

Inside an imported network a value is stored centred, c = q - zero, and represents scale * c: zero padding pads with the
zero point, and codes low..high become low - zero..high - zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, parameter, table_point
from fixedpoint_nn.layers.structure import Layer
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.value_table import ValueTable


@dataclass(frozen=True)
class Clamp:
    """x clamped to low..high: by a table if x has few bits, else by two saturating subtractions."""

    table: ValueTable | None = table_point("clamp", "out")
    low: int | None = None
    high: int | None = None
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        if self.table is not None:
            return x.lookup("clamp", self.table)
        if self.high is not None:
            x = self.high - (self.high - x).relu()
        if self.low is not None:
            x = (x - self.low).relu() + self.low
        return x.cast(self.out)


@dataclass(frozen=True)
class Lookup:
    """A table lookup of each value."""

    table: ValueTable

    def __call__(self, x: Number) -> Any:
        return x.lookup(self.table.function, self.table)


@dataclass(frozen=True)
class Fitted:
    """clamp(round(x / 2**shift)), for a scale ratio that is a power of two."""

    shift: int = 0
    out: Quantizer | None = cast_point()
    clamp: Clamp | None = None

    def __call__(self, x: Number) -> Any:
        y = (x.scaled(-self.shift) if self.shift else x).cast(self.out)
        return y if self.clamp is None else self.clamp(y)


@dataclass(frozen=True)
class Rescale:
    """clamp(round(round(x * multiplier) * power)), or without `first` and `power` clamp(round(x * multiplier)).

    `multiplier` and `power` are () or (channels,). `half` is added before the last rounding, and so is x * low,
    rounded down by `carry`: the low part of the product with a wider multiplier.
    """

    multiplier: Number = parameter()
    low: Number | None = parameter(default=None)
    carry: Quantizer | None = cast_point()
    first: Quantizer | None = cast_point()
    power: Number | None = parameter(default=None)
    half: Number | None = parameter(default=None)
    out: Quantizer | None = cast_point()
    clamp: Clamp | None = None

    def __call__(self, x: Number) -> Any:
        y = x * self.multiplier
        if self.low is not None:
            y = y + (x * self.low).cast(self.carry)
        if self.half is not None:
            y = y + self.half
        y = y.cast(self.first)
        if self.power is not None:
            y = y * self.power
        y = y.cast(self.out)
        return y if self.clamp is None else self.clamp(y)


@dataclass(frozen=True)
class TwoSlopes:
    """rise(x) for x > 0, else lean(x)."""

    rise: Rescale
    lean: Layer
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        above = x.relu()
        return (self.rise(above) + self.lean(x - above)).cast(self.out)
