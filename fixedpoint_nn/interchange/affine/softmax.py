# SPDX-License-Identifier: MIT
"""Integer softmax: TFLite's reference kernels for 8 and 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import fixed_constant
from fixedpoint_nn.interchange.affine.rescale import Rescale
from fixedpoint_nn.layers.fields import cast_point, table_point
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.value_table import ValueTable

SUM_BITS = 12  # of the sum of all exponentials, which are 1 or less
DIFFERENCE = Q(9, 0)
UNIT = UQ(0, 31)


def _exact(format: QFormat) -> Quantizer:
    return Quantizer(format, Rounding.FLOOR, Overflow.WRAP)


def _half_up(format: QFormat, overflow: Overflow = Overflow.WRAP) -> Quantizer:
    return Quantizer(format, Rounding.HALF_UP, overflow)


@dataclass(frozen=True)
class Softmax8:
    """exp(x - max) / sum(exp(x - max)) over the last axis, in units of 1/256.

    `exp` is a table of exp(difference) in units of 2**-31. The sum s is at least 1: with n bits of its integer part,
    a = s / 2**(n-1) - 1 is between 0 and 1, and 1 / (1 + a) takes three steps of Newton's iteration.
    """

    exp: ValueTable | None = table_point("exp", "difference")
    power: ValueTable | None = table_point("power", "whole")  # 2**(1-n)
    difference: Quantizer | None = cast_point()
    whole: Quantizer | None = cast_point()
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        below = (x - x.max(axis=-1, keepdims=True)).cast(self.difference)
        exponentials = below.lookup("exp", self.exp)
        share = exponentials.cast(Quantizer(UQ(1, 19), Rounding.HALF_AWAY, Overflow.SATURATE))
        total = share.sum(axis=-1, keepdims=True).cast(_exact(UQ(SUM_BITS, 19)))
        power = total.cast(self.whole).lookup("power", self.power)
        inverse = _reciprocal((total * power - 1).cast(_exact(UNIT)))
        return ((exponentials * inverse).cast(_half_up(UNIT)) * power).scaled(8).cast(self.out)


def _reciprocal(a: Any) -> Any:
    """1 / (1 + a) for 0 <= a <= 1, by Newton's iteration for 1 / ((1 + a) / 2), halved."""
    half = ((a + fixed_constant(np.asarray((1 << 31) - 1), 31)).scaled(-1)).cast(_half_up(UNIT))
    product = (half * fixed_constant(np.asarray(-1010580540), 29)).cast(_half_up(Q(2, 29)))  # -32/17
    x = (product + fixed_constant(np.asarray(1515870810), 29)).cast(_exact(UQ(2, 29)))  # 48/17
    for _ in range(3):
        error = (1 - (half * x).cast(_half_up(UQ(2, 29)))).cast(_exact(Q(0, 29)))
        x = (x + (x * error).cast(_half_up(Q(2, 27)))).cast(_exact(UQ(2, 29)))
    return x.scaled(-1).cast(Quantizer(UNIT, Rounding.FLOOR, Overflow.SATURATE))


def power_of(bits: int, whole: int) -> int:
    """2**(1 - n) in units of 2**-bits, where n is the bit length of `whole`."""
    return 1 << (bits + 1 - max(whole.bit_length(), 1))


@dataclass(frozen=True)
class Softmax16:
    """exp(x - max) / sum(exp(x - max)) over the last axis, in units of 2**-15.

    `rescale` maps differences to addresses of `exp`. The sum s of the exponentials has n bits; its reciprocal is a
    table over s / 2**n, rounded to 16 bits, and `power` is 2**(15-n).
    """

    rescale: Rescale
    exp: ValueTable | None = table_point("exp", "rescale.out")
    power: ValueTable | None = table_point("power", "whole")
    reciprocal: ValueTable | None = table_point("reciprocal", "address")
    whole: Quantizer | None = cast_point()
    address: Quantizer | None = cast_point()
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        below = x - x.max(axis=-1, keepdims=True)
        exponentials = self.rescale(below).lookup("exp", self.exp)
        total = exponentials.sum(axis=-1, keepdims=True)
        power = total.scaled(-14).cast(self.whole).lookup("power", self.power)
        normal = (total * power).scaled(2).cast(_half_up(UQ(18, 0)))
        inverse = (normal - 3 * (1 << 15)).cast(self.address).lookup("reciprocal", self.reciprocal)
        share = (exponentials * inverse).cast(_exact(UQ(30, 0)))
        return (share * power).scaled(-14).cast(self.out)
