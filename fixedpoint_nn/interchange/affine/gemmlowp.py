# SPDX-License-Identifier: MIT
"""exp, logistic and tanh in fixed point of 16 or 32 bits, as the library gemmlowp computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.multiplier import rounding_shift

# exp(-1/4), exp(-1/2), exp(-1), ... in units of 2**-31
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_EIGHTH, _THIRD = 1895147668, 715827883  # exp(-1/8) and 1/3
_48_17, _NEGATIVE_32_17 = 1515870810, -1010580540  # in units of 2**-29


@dataclass(frozen=True)
class Gemmlowp:
    """Functions of signed `bits`-bit integers, which represent raw * 2**(integer_bits - bits + 1).

    Arguments are an integer or an int64 array.
    """

    bits: int

    @property
    def one(self) -> int:
        """The largest value with 0 integer bits, which represents 1."""
        return (1 << (self.bits - 1)) - 1

    def constant(self, raw: int) -> int:
        """A 32-bit constant, rounded to this width."""
        return rounding_shift(raw, 32 - self.bits)

    def product(self, x: Any, y: Any) -> Any:
        """The saturating rounding doubling high product: x * y / 2**(bits - 1), rounded half up."""
        return (x * y + (1 << (self.bits - 2))) >> (self.bits - 1)

    def fit(self, x: Any) -> Any:
        """x, saturated to `bits` bits."""
        return np.clip(x, -self.one - 1, self.one)

    def exp_of_negative(self, raw: Any, integer_bits: int) -> Any:
        """exp(x) for x <= 0; the result has 0 integer bits."""
        fraction_bits = self.bits - 1 - integer_bits
        quarter = 1 << (fraction_bits - 2)
        rest = (raw & (quarter - 1)) - quarter
        result = self._exp_of_quarter(self.fit(rest << integer_bits))
        remainder = rest - raw
        for number, power in enumerate(_POWERS):
            exponent = number - 2
            if integer_bits > exponent:
                there = remainder & (1 << (fraction_bits + exponent))
                result = np.where(there != 0, self.product(result, self.constant(power)), result)
        return np.where(raw == 0, self.one, result)

    def _exp_of_quarter(self, raw: Any) -> Any:
        """exp(x) for -1/4 <= x < 0: four terms of the Taylor series around -1/8."""
        x = raw + (1 << (self.bits - 4))
        x2 = self.product(x, x)
        x3, x4 = self.product(x2, x), self.product(x2, x2)
        third, start = self.constant(_THIRD), self.constant(_EXP_EIGHTH)
        series = _shifted(self.product(_shifted(x4, 2) + x3, third) + x2, 1)
        return self.fit(start + self.product(start, x + series))

    def reciprocal(self, a: Any) -> Any:
        """2 / (1 + a) for 0 <= a <= 1, with 2 integer bits, by three steps of Newton's iteration."""
        half = (a + self.one + 1) >> 1
        x = self.constant(_48_17) + self.product(half, self.constant(_NEGATIVE_32_17))
        for _ in range(3):
            error = (1 << (self.bits - 3)) - self.product(half, x)
            x = x + self.fit(self.product(x, error) << 2)
        return x

    def logistic(self, raw: Any, integer_bits: int) -> Any:
        """1 / (1 + exp(-x)); the result has 0 integer bits."""
        positive = self.fit(self.reciprocal(self.exp_of_negative(-np.abs(raw), integer_bits)) << 1)
        half = 1 << (self.bits - 2)
        return np.where(raw == 0, half, np.where(raw > 0, positive, self.one - positive))

    def tanh(self, raw: Any, integer_bits: int) -> Any:
        """(1 - exp(-2x)) / (1 + exp(-2x)); the result has 0 integer bits."""
        power = self.exp_of_negative(-np.abs(raw), integer_bits + 1)
        positive = self.fit((self.reciprocal(power) - (1 << (self.bits - 3))) << 2)
        return np.where(raw == 0, 0, np.where(raw > 0, positive, -positive))


def _shifted(x: Any, shift: int) -> Any:
    """`rounding_shift` of every element."""
    half = 1 << (shift - 1)
    return np.where(x >= 0, (x + half) >> shift, -((-x + half) >> shift))


WIDE, SHORT = Gemmlowp(32), Gemmlowp(16)
_HALF_THREE = 3 << 27  # 3/2 with 3 integer bits
_HALF_ROOT_OF_2 = 1518500250  # sqrt(2) / 2 with none


def inverse_square_root(x: int) -> tuple[int, int]:
    """(m, shift) with 1 / sqrt(x) = m / 2**31 / 2**shift for x >= 1, by five steps of Newton's iteration."""
    if x <= 1:
        return WIDE.one, 0
    shift = 11
    while x >= 1 << 29:
        x, shift = x // 4, shift + 1
    pairs = (31 - x.bit_length()) // 2 - 1
    shift, x = shift - pairs, x << 2 * pairs
    half = rounding_shift(x >> 1, 1)
    y = 1 << 28
    for _ in range(5):
        cube = WIDE.fit(WIDE.product(WIDE.product(y, y), y) << 6)
        y = WIDE.fit((WIDE.product(_HALF_THREE, y) - WIDE.product(half, cube)) << 3)
    m = int(WIDE.product(y, _HALF_ROOT_OF_2))
    return (m << -shift, 0) if shift < 0 else (m, shift)
