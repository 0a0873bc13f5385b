# SPDX-License-Identifier: MIT
"""Step functions from integer sums to output codes, defined by the sum at which each code is first reached.

Scaling, rounding, saturation and ReLU are monotonic functions of a sum, so their composition is determined by its
thresholds. Two such functions are equal if all their thresholds are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.numerics.arrays import Ints

MOST_STEPS = 1 << 23  # of all channels together


@dataclass(frozen=True)
class StepFunction:
    """Thresholds per channel c: code low + i is reached at signs[c] * sum >= first[c, i-1], for sums in `sums`.

    `first` (channels, steps) is one past the largest signed sum for a code that is never reached. If not every sum
    occurs, a code may be reached anywhere from `first` to `until`.
    """

    first: Ints
    signs: Ints
    sums: tuple[int, int]
    codes: tuple[int, int]
    until: Ints | None = None

    @classmethod
    def of(
        cls, function: Callable[[Ints], Any], signs: Ints, sums: tuple[int, int], codes: tuple[int, int]
    ) -> StepFunction:
        """The thresholds of `function`, which maps sums (channels, n) to codes; it increases where the sign is 1.

        They are found by bisection for every code of every channel.
        """
        signs = np.asarray(signs, np.int64)[:, np.newaxis]
        wanted = np.arange(codes[0] + 1, codes[1] + 1, dtype=np.int64)[np.newaxis]
        if len(signs) * wanted.size > MOST_STEPS:
            raise Unsuited(f"has {len(signs) * wanted.size:,} steps, and {MOST_STEPS:,} is the most")
        least, most = (np.where(signs > 0, end, -other) for end, other in (sums, sums[::-1]))
        below = np.broadcast_to(least - 1, (len(signs), wanted.size)).copy()
        above = np.broadcast_to(most + 1, below.shape).copy()
        while (above - below > 1).any():
            middle = (below + above) // 2
            reached = np.asarray(function(signs * middle)) >= wanted
            open_ = above - below > 1
            above = np.where(open_ & reached, middle, above)
            below = np.where(open_ & ~reached, middle, below)
        return cls(above, signs[:, 0], sums, codes)

    @cached_property
    def lowest(self) -> Ints:
        """The smallest signed sum of each channel, (channels,)."""
        return np.where(self.signs > 0, self.sums[0], -self.sums[1])

    @cached_property
    def highest(self) -> Ints:
        """The largest signed sum of each channel, (channels,)."""
        return np.where(self.signs > 0, self.sums[1], -self.sums[0])

    def __call__(self, sums: Any, channel: int = 0) -> Ints:
        """The codes of sums of one channel."""
        signed = np.asarray(sums, np.int64) * self.signs[channel]
        found: Ints = np.searchsorted(self.first[channel], signed, side="right") + self.codes[0]
        return found


@dataclass(frozen=True)
class Line:
    """floor((signed sum * multiplier + offset) / 2**shift); or, if `even`, rounded half to even."""

    multiplier: int
    offset: int
    shift: int
    even: bool = False


FEWEST_BITS, MOST_LINE_BITS, MOST_INT64_BITS = 6, 40, 62
NUDGES = (0, 1, -1, 2, -2)
FEW = 64


def line_of(steps: StepFunction, channel: int, late: bool = False, even: bool = False) -> Line | None:
    """The line of fewest bits with exactly the thresholds T of a channel, proven for each; None if there is none.

    T[k] * m + h >= level[k] > (T[k] - 1) * m + h for every code k, with level[k] = k * 2**s, or with `even` (k - 1/2)
    * 2**s, plus 1 if k is odd. With `late` each threshold may be later, but before the next one: the code is then
    right or one too low.
    """
    first, low, high = steps.first[channel], int(steps.lowest[channel]), int(steps.highest[channel])
    codes = np.arange(steps.codes[0] + 1, steps.codes[1] + 1, dtype=np.int64)
    until = first if steps.until is None else steps.until[channel]
    if late:
        until = np.append(first[1:], high + 1)
    reached = until <= high  # a code that no sum reaches has no upper bound
    missed = first > low
    if first.size == 0 or not (missed & (first <= high)).any():  # a single code for all sums
        return Line(0, 2 * int(steps.codes[0] + (first <= low).sum()), 1, even)
    slope = _slope(first, until, codes, low, high)
    mantissa, exponent = np.frexp(slope)
    widest = max(abs(low), abs(high)).bit_length() + 1
    few = max(len(codes) // FEW, 1)  # if some of the steps do not fit, the others need no check
    fewest = max(FEWEST_BITS, int((missed & reached).sum()).bit_length() - 2)
    for bits in range(fewest, MOST_LINE_BITS + 1):
        shift = bits - int(exponent)
        if shift < 1:
            continue
        if max(int(np.abs(codes).max()).bit_length() + shift, widest + bits + 1) >= MOST_INT64_BITS:
            return None
        nearest = int(np.floor(np.ldexp(mantissa, bits) + 0.5))
        levels = (codes << shift) - (((1 << (shift - 1)) - (codes & 1)) if even else 0)
        points = levels, until, first, reached, missed
        for m in (nearest + nudge for nudge in NUDGES):
            if m < 1 or _offset(m, *(each[::few] for each in points)) is None:
                continue
            offset = _offset(m, *points)
            if offset is not None:
                return Line(m, offset, shift, even)
    return None


def _offset(m: int, levels: Ints, until: Ints, first: Ints, reached: Any, missed: Any) -> int | None:
    """The middle of the interval of h; None if it is empty."""
    least = int((levels - until * m)[reached].max(initial=-(1 << 62)))
    past = int((levels - (first - 1) * m)[missed].min(initial=(1 << 62) - 1)) - 1
    if least > past:
        return None
    return past if least == -(1 << 62) else least if past == (1 << 62) - 2 else (least + past) // 2


def _slope(first: Ints, until: Ints, codes: Ints, low: int, high: int) -> float:
    """The slope of the line with the largest margin between the points (T, k) below it and (T - 1, k) above it.

    The margin is concave in the slope, so its maximum is found by bisection.
    """
    under, above = until <= high, first > low
    if not (under.any() and above.any()):
        return float(np.ldexp(1.0, 1 - max(high - low, 1).bit_length()))
    spread = max(int(until[under].max()) - int(first[above].min() - 1), 1)
    least, most = 2.0**-60, 4.0 * len(codes)
    if under.sum() > 1 and above.sum() > 1:
        rise = float(codes[under].max() - codes[above].min())
        least, most = (
            max((rise - 2) / (spread + 2), least) / 4,
            min(max(rise + 2, 4) / max(spread - 2, 1) * 4, most),
        )
    for _ in range(48):
        slope = (least + most) / 2
        lower, upper = codes - slope * until, codes - slope * (first - 1)
        binding = until[np.where(under, lower, -np.inf).argmax()]
        ceiling = first[np.where(above, upper, np.inf).argmin()] - 1
        if binding > ceiling:  # a steeper line gains margin
            least = slope
        else:
            most = slope
    return (least + most) / 2


def holds(line: Line, steps: StepFunction, channel: int) -> bool:
    """Whether the line yields the code of every sum, checked on both sides of each threshold."""
    sums = np.concatenate([steps.first[channel], steps.first[channel] - 1])
    inside = sums[(sums >= steps.lowest[channel]) & (sums <= steps.highest[channel])]
    exact = inside * line.multiplier + line.offset
    below = exact >> line.shift
    if line.even:
        rest, half = exact - (below << line.shift), 1 << (line.shift - 1)
        below = below + ((rest > half) | ((rest == half) & (below & 1 == 1)))
    found = np.clip(below, *steps.codes)
    return np.array_equal(found, steps(inside * steps.signs[channel], channel))
