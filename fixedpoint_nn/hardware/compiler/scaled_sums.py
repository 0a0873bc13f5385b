# SPDX-License-Identifier: MIT
"""The rescaled sum of two codes of different scales in one run: two weights, a multiplier and a shift.

A residual addition of 8-bit codes maps each operand to a fine common scale by a table, adds, and rescales the sum. The
result is a function of two codes, which can be evaluated completely. It equals the requantiser's result for
w * x + v * y if for every code the sums of all pairs with smaller results are below those of all other pairs. This is
checked for all pairs of codes, not for samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.hardware.compiler.step_functions import Steps, found
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.rounding import Rounding

FEWEST_WEIGHT_BITS, MOST_WEIGHT_BITS = 8, 16
TRIED = 24  # pairs of weights per width, closest to the scales first
FORMS = (
    (Rounding.HALF_UP, False),
    (Rounding.HALF_AWAY, True),
    (Rounding.HALF_AWAY, False),
    (Rounding.HALF_UP, True),
)


@dataclass(frozen=True)
class ScaledSum:
    """(weights[0] * x + weights[1] * y) * factor / 2**shift, rounded once or twice."""

    weights: tuple[int, int]
    factor: int
    shift: int
    rounding: Rounding
    twice: bool


def scaled_sum(
    x: Ints, y: Ints, codes: Ints, slopes: tuple[float, float], most_bits: int
) -> ScaledSum | None:
    """The form of codes[i, j], the results for x[i] and y[j] that grow by about `slopes`; None if there is none."""
    if min(map(abs, slopes)) == 0:
        return None
    for weights in _candidates(slopes):
        sums = weights[0] * x[:, np.newaxis] + weights[1] * y
        steps = _steps(sums, codes)
        if steps is None:
            continue
        larger = int(abs(slopes[1]) > abs(slopes[0]))
        slope = slopes[larger] / weights[larger]
        for rounding, twice in FORMS:
            pair = found(steps, slope, most_bits, rounding, twice)
            if pair is not None:
                return ScaledSum(weights, *pair, rounding, twice)
    return None


def _candidates(slopes: tuple[float, float]) -> Iterator[tuple[int, int]]:
    """Weights with a ratio close to that of the slopes, those of few bits first."""
    larger = int(abs(slopes[1]) > abs(slopes[0]))
    ratio = abs(slopes[1 - larger] / slopes[larger])
    signs = [1 if slope > 0 else -1 for slope in slopes]
    for bits in range(FEWEST_WEIGHT_BITS, MOST_WEIGHT_BITS + 1):
        first = 1 if bits == FEWEST_WEIGHT_BITS else 1 << bits - 2
        large = np.arange(first, 1 << bits - 1)
        small = np.rint(large * ratio).astype(np.int64)
        errors = np.where(small > 0, np.abs(small / large - ratio), np.inf)
        for place in np.argsort(errors, kind="stable")[:TRIED].tolist():
            pair = [0, 0]
            pair[larger], pair[1 - larger] = int(large[place]), int(small[place])
            yield signs[0] * pair[0], signs[1] * pair[1]


def _steps(sums: Ints, codes: Ints) -> Steps | None:
    """The thresholds of codes over sums; None if the code is not an increasing function of the sum."""
    low, high = int(codes.min()), int(codes.max())
    lowest = np.full(high - low + 1, np.iinfo(np.int64).max)
    highest = np.full(high - low + 1, np.iinfo(np.int64).min)
    np.minimum.at(lowest, codes.ravel() - low, sums.ravel())
    np.maximum.at(highest, codes.ravel() - low, sums.ravel())
    missed = np.maximum.accumulate(highest)[:-1]
    reached = np.minimum.accumulate(lowest[::-1])[::-1][1:]
    if (missed >= reached).any():
        return None
    return Steps(range(low + 1, high + 1), missed.tolist(), reached.tolist())
