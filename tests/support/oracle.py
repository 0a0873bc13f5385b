# SPDX-License-Identifier: MIT
"""The arithmetic in `fractions.Fraction`: slow, obvious, and written without a look at the code it judges."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor, trunc

from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding

HALF = Fraction(1, 2)


def value(integer: int, format: QFormat) -> Fraction:
    """What an integer is worth."""
    return Fraction(integer) / Fraction(2) ** format.frac_bits


def rounded(x: Fraction, rounding: Rounding) -> int:
    """The neighbouring integer that the rounding chooses."""
    if x.denominator == 1:
        return int(x)
    if rounding is Rounding.FLOOR:
        return floor(x)
    if rounding is Rounding.TOWARD_ZERO:
        return trunc(x)
    below, above = floor(x), ceil(x)
    if x - below != HALF:
        return below if x - below < HALF else above
    return {
        Rounding.HALF_UP: above,
        Rounding.HALF_DOWN: below,
        Rounding.HALF_AWAY: above if x > 0 else below,
        Rounding.HALF_TOWARD_ZERO: below if x > 0 else above,
        Rounding.HALF_EVEN: below if below % 2 == 0 else above,
    }[rounding]


def fitted(integer: int, format: QFormat, overflow: Overflow) -> int:
    """The integer brought into the format."""
    lowest = -(2 ** (format.bits - 1)) if format.signed else 0
    highest = 2 ** (format.bits - 1) - 1 if format.signed else 2**format.bits - 1
    if overflow is Overflow.WRAP:
        wrapped = integer % 2**format.bits
        return wrapped if wrapped <= highest else wrapped - 2**format.bits
    if overflow is Overflow.SATURATE_SYMMETRIC and format.signed:
        lowest = -highest
    if lowest <= integer <= highest:
        return integer
    if overflow is Overflow.ZERO:
        return 0
    return highest if integer > highest else lowest


def quantized(x: Fraction, quantizer: Quantizer) -> int:
    """The integer of x in the quantizer's format."""
    scaled = x * Fraction(2) ** quantizer.format.frac_bits
    return fitted(rounded(scaled, quantizer.rounding), quantizer.format, quantizer.overflow)


def accumulated(
    row: Sequence[Fraction], column: Sequence[Fraction], accumulator: Accumulator, initial: Fraction | int = 0
) -> int:
    """The accumulator's integer after the products of one row and one column, one by one."""
    exact = Quantizer(accumulator.format, overflow=accumulator.overflow)
    total = Fraction(initial)
    for x, w in zip(row, column, strict=True):
        term = x * w
        if accumulator.product is not None:
            term = value(quantized(term, accumulator.product), accumulator.product.format)
        total = value(quantized(total + term, exact), accumulator.format)
    return int(total * Fraction(2) ** accumulator.format.frac_bits)
