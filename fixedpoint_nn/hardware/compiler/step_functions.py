# SPDX-License-Identifier: MIT
"""Step functions of the requantiser: the sums at which each code is first reached.

The requantiser with a multiplier m and a shift s yields code k or more exactly if x * m >= level(k), where

    HALF_UP     level(k) = (2k - 1) * 2**(s - 1)
    HALF_AWAY   the same, and one more where k <= 0: a negative tie goes away from zero
    twice       of s > 31: the level of the second rounding, which drops s - 31 bits, times 2**31, less 2**30, which
                the first rounding adds; of another s that of HALF_UP

So two such functions are equal for every sum if each code is first reached at the same sum. For a given s the suitable
multipliers form an interval, which is computed from all codes, not from samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.numerics.rounding import Rounding

HIGH_PRODUCT = 31  # bits dropped by the first of two roundings
MOST_SHIFT = 63


@dataclass(frozen=True)
class Steps:
    """For each code the last sum that must not reach it, and the first that must, as Python integers.

    None if there is no such sum: for a code that every sum reaches, or none.
    """

    codes: Sequence[int]
    missed: Sequence[int | None]
    reached: Sequence[int | None]


def steps_of(
    multiplier: int, offset: int, shift: int, sums: tuple[int, int], codes: tuple[int, int]
) -> Steps:
    """The steps of HALF_UP((x * multiplier + offset) / 2**shift), saturated to `codes`, for sums in `sums`."""
    numbers = range(codes[0] + 1, codes[1] + 1)
    half = (1 << shift) >> 1
    first = [-(-((code << shift) - half - offset) // multiplier) for code in numbers]
    low, high = sums
    return Steps(
        numbers,
        [None if one <= low else min(one - 1, high) for one in first],
        [None if one > high else max(one, low) for one in first],
    )


def levels(codes: Sequence[int], shift: int, rounding: Rounding, twice: bool) -> list[int]:
    """The smallest product that reaches each code."""
    far = twice and shift > HIGH_PRODUCT
    away = rounding is Rounding.HALF_AWAY and (far or not twice)
    if far:
        seconds = levels(codes, shift - HIGH_PRODUCT, rounding, False)
        return [(level << HIGH_PRODUCT) - (1 << HIGH_PRODUCT - 1) for level in seconds]
    return [((2 * k - 1) << shift >> 1) + (away and k <= 0) for k in codes]


def multiplier_for(steps: Steps, shift: int, rounding: Rounding, twice: bool) -> tuple[int, int]:
    """(lowest, highest) positive multiplier with these steps; lowest > highest if there is none."""
    low, high = 1, 1 << 62
    for level, missed, reached in zip(
        levels(steps.codes, shift, rounding, twice), steps.missed, steps.reached, strict=True
    ):
        for sum_, least in ((reached, level), (None if missed is None else -missed, 1 - level)):
            if sum_ is None:
                continue
            if sum_ > 0:  # sum_ * m >= least
                low = max(low, -(-least // sum_))
            elif sum_ < 0:
                high = min(high, least // sum_)
            elif least > 0:
                return 1, 0
        if low > high:
            return 1, 0
    return low, high


def found(
    steps: Steps, slope: float, most_bits: int, rounding: Rounding, twice: bool
) -> tuple[int, int] | None:
    """(multiplier of at most `most_bits` bits with sign, shift) with these steps, if any; `slope` is about m / 2**s."""
    if slope <= 0:
        return None
    exponent = int(np.frexp(slope)[1])
    for bits in range(most_bits - 1, 0, -1):
        shift = bits - exponent
        if not 0 < shift <= MOST_SHIFT:
            continue
        low, high = multiplier_for(steps, shift, rounding, twice)
        if low <= high and low.bit_length() < most_bits:
            return min(max(low, round(slope * 2**shift)), high), shift
        if bits < most_bits - 8:
            break
    return None
