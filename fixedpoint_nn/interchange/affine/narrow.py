# SPDX-License-Identifier: MIT
"""Multipliers of few bits that replace the double rounding of 8-bit layers, used only if proven equal.

A layer with codes 0..high is a step function of its sum, defined by the sums T[k] at which each code k is first
reached. So floor((x * m + h) / 2**s) is the same function if it reaches every k at T[k]:

    T[k] * m + h >= k * 2**s > (T[k] - 1) * m + h

For a given m this is an interval for h. Weights times such an m fit the engine's weight words, so that no intermediate
sum is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.numerics.arrays import Ints

FEWEST_BITS, MOST_INT64_BITS = 8, 62
NUDGES = (0, 1, -1)


@dataclass(frozen=True)
class Narrow:
    """Per channel: code = floor((x * multiplier + offset) / 2**shift)."""

    multipliers: tuple[int, ...]
    offsets: tuple[int, ...]
    shifts: tuple[int, ...]


def narrowed(
    scaled: Sequence[int], right: Sequence[int], sums: tuple[int, int], high: int, most_bits: int
) -> Narrow | None:
    """Narrow multipliers for codes 0..high of x * scaled / 2**31 / 2**right; None if there are none.

    The exact codes are rounded half up at bit 31, then half away from zero.
    """
    found: dict[tuple[int, int], tuple[int, int, int] | None] = {}
    for pair in zip(scaled, right):
        if pair not in found:
            found[pair] = _channel(*pair, sums, high, most_bits)
        if found[pair] is None:
            return None
    channels = [channel for pair in zip(scaled, right) if (channel := found[pair]) is not None]
    ms, hs, shifts = zip(*channels)
    return Narrow(tuple(ms), tuple(hs), tuple(shifts))


def _channel(
    scaled: int, right: int, sums: tuple[int, int], high: int, most_bits: int
) -> tuple[int, int, int] | None:
    """(multiplier, offset, shift) of one channel with the same codes at every sum; None if there are none."""
    if scaled < 1 or high < 1 or 31 + right + high.bit_length() > MOST_INT64_BITS:
        return None
    codes = np.arange(1, high + 1, dtype=np.int64)
    # x * scaled + 2**30 >= (k * 2**right - 2**(right-1)) * 2**31, where a shift by 0 does not round
    ties = (codes << (31 + right)) - ((1 << (30 + right)) if right else 0) - (1 << 30)
    first = np.clip(-(-ties // scaled), sums[0], sums[1] + 1)
    exponent = scaled.bit_length() - 31 - right  # of scaled / 2**(31 + right)
    # About as many bits as the last threshold has are needed to distinguish it from its neighbours.
    fewest = max(FEWEST_BITS, int(np.abs(first).max()).bit_length() - 2)
    for bits in range(fewest, most_bits + 1):
        shift = bits - exponent
        if shift < 1 or shift + high.bit_length() + 1 > MOST_INT64_BITS:
            continue
        nearest = (scaled << bits) >> scaled.bit_length()
        for nudge in NUDGES:
            offset = _offset(nearest + nudge, shift, codes, first, sums[0])
            if offset is not None:
                return nearest + nudge, offset, shift
    return None


def _offset(m: int, shift: int, codes: Ints, first: Ints, lowest: int) -> int | None:
    """The middle of the interval of h; None if it is empty."""
    levels = codes << shift
    least = int((levels - first * m).max())
    missed = first > lowest  # a code that every sum reaches has no lower bound
    most = int((levels - (first - 1) * m)[missed].min(initial=least + 2)) - 1
    return None if most < least else (least + most) // 2
