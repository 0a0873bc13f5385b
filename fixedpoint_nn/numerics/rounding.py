# SPDX-License-Identifier: MIT
"""The seven roundings: floor, then add one where a predicate holds.

`INCREMENT_IF` is that predicate, once for each rounding. It is asked about integers that lose bits on the right and
about floats that lose their fraction; NumPy's own floor, trunc and rint are the first, second and last line
of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from fixedpoint_nn.numerics.arrays import Array


class Rounding(Enum):
    """What happens to the bits that do not fit on the right; the value is AMD's name."""

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
    """What the predicates are made of: facts about the value, its floor, and the remainder between them."""

    inexact: Array  # the value is not its floor
    above: Array  # by more than a half
    tie: Array  # by exactly a half
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
    """ints / 2**shift, rounded to integers; ints are int64 or Python's own, shift is 0 or more."""
    if shift == 0:
        return ints
    if shift > 63 and ints.dtype == np.int64:
        # Every |int| is at most 2**63, so less than a half is left of it: a quarter of its sign rounds alike,
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
    """Each float rounded to an integer, as floats; exact for every finite float, and infinities stay."""
    if rounding is Rounding.HALF_EVEN:
        return np.asarray(np.rint(values, out=out))
    if rounding is Rounding.FLOOR:
        return np.asarray(np.floor(values, out=out))
    if rounding is Rounding.TOWARD_ZERO:
        return np.asarray(np.trunc(values, out=out))
    # values - trunc is exact (values - floor is not: -1e-20 + 1), so all questions are asked of that.
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
