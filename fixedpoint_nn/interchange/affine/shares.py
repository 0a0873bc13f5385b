# SPDX-License-Identifier: MIT
"""Softmax of integers of any scale, as nearly as words of 31 bits say it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Any

from fixedpoint_nn.interchange.affine.constants import integer_format
from fixedpoint_nn.layers.fields import cast_point, table_point
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.value_table import ValueTable

SHARE_BITS = (
    29  # fraction bits: with the whole part and a sign, a word of 31 bits, whose products the engine holds
)
ONE = UQ(1, SHARE_BITS)
SEED_BITS = 10  # of the address of the reciprocal that is improved
STEPS = 2  # of Newton's iteration: errors of 2**-11, 2**-22, and then those of the words
MOST_TERMS = 1 << 12


def nearest(format: QFormat, name: str = "") -> Quantizer:
    """Rounded to the nearest number of the format, ties to even."""
    return Quantizer(format, Rounding.HALF_EVEN, Overflow.SATURATE, name)


def floor(format: QFormat, name: str = "") -> Quantizer:
    """Rounded down; what is too large saturates."""
    return Quantizer(format, Rounding.FLOOR, Overflow.SATURATE, name)


@dataclass(frozen=True)
class Shares:
    """exp(x - max) / sum(exp(x - max)) over the last axis, as whole numbers of 2**-29.

    Of n terms, each is at most 2**-27 + n * 2**-30 off. `exp` is a table over the differences. The sum s is at least 1:
    with b the bits of its whole part, m = s / 2**(b-1) lies between 1 and 2, and Newton's iteration improves `seed`, a
    table of 1 / m.
    """

    exp: ValueTable | None = table_point("exp", "difference")
    power: ValueTable | None = table_point("power", "whole")  # 2**(1-b)
    seed: ValueTable | None = table_point("seed", "address")
    difference: Quantizer | None = cast_point()
    total: Quantizer | None = cast_point()
    whole: Quantizer | None = cast_point()
    address: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        below = (x - x.max(axis=-1, keepdims=True)).cast(self.difference)
        exponentials = below.lookup("exp", self.exp)
        total = exponentials.sum(axis=-1, keepdims=True).cast(self.total)
        power = total.cast(self.whole).lookup("power", self.power)
        m = (total * power).cast(nearest(ONE))
        inverse = (m - 1).cast(self.address).lookup("seed", self.seed)
        for _ in range(STEPS):
            near = (m * inverse).cast(nearest(ONE))
            inverse = (inverse * (2 - near).cast(nearest(ONE))).cast(nearest(ONE))
        share = (exponentials * (inverse * power).cast(nearest(ONE))).cast(nearest(ONE))
        return share.scaled(SHARE_BITS)

    @classmethod
    def of(cls, scale: float, span: int, terms: int, name: str) -> Shares:
        """The layer for `terms` integers of this scale that differ by at most `span`."""
        bits = terms.bit_length()
        address = UQ(0, SEED_BITS)
        difference = Quantizer(integer_format(-span, 0), Rounding.FLOOR, Overflow.WRAP, f"{name}.difference")
        head = floor(UQ(bits, 0), f"{name}.whole")
        falling = exponentials(scale, span)
        return cls(
            ValueTable.of(
                "exp", lambda d: falling[min(max(-d, 0), span)], difference.format, ONE, f"{name}.exp"
            ),
            ValueTable.of("power", lambda n: _power(n, bits), head.format, UQ(1, bits - 1), f"{name}.power"),
            ValueTable.of("seed", _reciprocal, address, ONE, f"{name}.seed"),
            difference,
            nearest(UQ(bits, SHARE_BITS + 1 - bits), f"{name}.total"),
            head,
            floor(address, f"{name}.address"),
        )


def exponentials(scale: float, span: int) -> list[int]:
    """exp(-scale * d) for d from 0 to `span`, in units of 2**-29, correctly rounded."""
    with localcontext(Context(prec=60, Emin=-999999999, Emax=999999999)):
        ratio, unit = (-Decimal(scale)).exp(), Decimal(1 << SHARE_BITS)
        found = []
        for _ in range(span + 1):
            found.append(int(unit.to_integral_value(ROUND_HALF_EVEN)))
            unit = unit * ratio if found[-1] else unit
        return found


def _power(n: int, bits: int) -> int:
    """2**(1 - the bits of n), in units of 2**(1-bits)."""
    return 1 << (bits - max(n.bit_length(), 1))


def _reciprocal(code: int) -> int:
    """1 / (1 + a) in the middle of the a that have this code, in units of 2**-29."""
    parts = 1 << (SEED_BITS + 1)  # of 1, of which the middle is at an odd one
    return ((parts << SHARE_BITS) + (parts + 2 * code + 1) // 2) // (parts + 2 * code + 1)
