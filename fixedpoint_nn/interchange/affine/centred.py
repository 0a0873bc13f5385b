# SPDX-License-Identifier: MIT
"""Conversions between a file's codes q and the centred integers c = q - zero of an imported network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Shifted:
    """x + by, in the format of `out`, which must hold every result."""

    by: int
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        return (x + self.by if self.by else x).cast(self.out)


@dataclass(frozen=True)
class Scaled:
    """x * 2**power, for power >= 0."""

    power: int

    def __call__(self, x: Number) -> Any:
        return x * (1 << self.power)
