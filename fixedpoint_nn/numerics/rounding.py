# SPDX-License-Identifier: MIT
"""The seven rounding modes: floor, then add one where a predicate holds.

`INCREMENT_IF` has the predicate of each mode. It is evaluated for integers that lose low bits and for floats that lose
their fraction; NumPy's floor, trunc and rint are its first, second and last line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from fixedpoint_nn.numerics.arrays import Array


class Rounding(Enum):
    """How bits lost on the right are rounded; the enum's values are AMD's names.

    >>> from fixedpoint_nn import FixedArray, Q, Quantizer
    >>> [int(FixedArray.from_float(-2.5, Quantizer(Q(4, 0), mode)).ints) for mode in Rounding]
    [-3, -2, -2, -3, -3, -2, -2]
    """

    FLOOR = "TRN"
    TOWARD_ZERO = "TRN_ZERO"
    HALF_UP = "RND"
    HALF_DOWN = "RND_MIN_INF"
    HALF_AWAY = "RND_INF"
    HALF_TOWARD_ZERO = "RND_ZERO"
    HALF_EVEN = "RND_CONV"

    def __repr__(self) -> str:
        return f"Rounding.{self.name}"


@dataclass(frozen=True)
class Remainder:
    """The arguments of the predicates: boolean arrays about a value, its floor, and the remainder."""

    inexact: Array  # the value is not its floor
    above: Array  # the remainder is more than a half
    tie: Array  # the remainder is exactly a half
    negative: Array  # the value is below zero
    odd: Array  # its floor is odd


INCREMENT_IF: dict[Rounding, Callable[[Remainder], Array]] = {
    Rounding.FLOOR: lambda r: np.zeros_like(r.inexact),
    Rounding.TOWARD_ZERO: lambda r: r.inexact & r.negative,
    Rounding.HALF_UP: lambda r: r.above | r.tie,
    Rounding.HALF_DOWN: lambda r: r.above,
    Rounding.HALF_AWAY: lambda r: r.above | (r.tie & ~r.negative),
    Rounding.HALF_TOWARD_ZERO: lambda r: r.above | (r.tie & r.negative),
    Rounding.HALF_EVEN: lambda r: r.above | (r.tie & r.odd),
}


def shift_right(ints: Array, shift: int, rounding: Rounding) -> Array:
    """ints / 2**shift, rounded to integers; ints are int64 or Python's, shift >= 0."""
    if shift == 0:
        return ints
    if shift > 63 and ints.dtype == np.int64:
        # Every |int| is at most 2**63, so less than a half remains: a quarter with its sign rounds equally,
        # but for -2**63 / 2**64, which is exactly minus a half.
        lowest = (ints == np.iinfo(np.int64).min) & (shift == 64)
        ints, shift = np.where(lowest, -2, np.sign(ints)), 2
    floor = ints >> shift
    if rounding is Rounding.FLOOR:
        return floor
    rest, half = ints & ((1 << shift) - 1), 1 << (shift - 1)
    up = INCREMENT_IF[rounding](Remainder(rest != 0, rest > half, rest == half, ints < 0, (floor & 1) != 0))
    return floor + up


def round_floats(values: Array, rounding: Rounding, out: Array | None = None) -> Array:
    """Each float rounded to an integer, as a float; exact for every finite float, infinities stay."""
    if rounding is Rounding.HALF_EVEN:
        return np.asarray(np.rint(values, out=out))
    if rounding is Rounding.FLOOR:
        return np.asarray(np.floor(values, out=out))
    if rounding is Rounding.TOWARD_ZERO:
        return np.asarray(np.trunc(values, out=out))
    # values - trunc is exact (values - floor is not: -1e-20 + 1), so the predicates use it.
    whole = np.trunc(values)
    with np.errstate(invalid="ignore"):
        rest = values - whole
    negative = rest < 0
    half = np.where(negative, -0.5, 0.5)
    floor = whole - negative
    odd = np.floor(floor / 2) * 2 != floor
    up = INCREMENT_IF[rounding](Remainder(rest != 0, rest > half, rest == half, values < 0, odd))
    result: Array = np.add(floor, up, out=out)
    return result
