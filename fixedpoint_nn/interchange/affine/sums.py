# SPDX-License-Identifier: MIT
"""Ranges of dot products, and whether a sum must be stored before it is rescaled."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import MOST_BITS, fixed_constant
from fixedpoint_nn.interchange.affine.rescale import Rescale
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat

MOST_WEIGHT_BITS = 32  # of the engine: if multiplied weights fit, no intermediate sum is stored


def folds(rescale: Rescale, ints: Ints, source: QFormat) -> bool:
    """Whether weights (outputs, taps) times their channels' multipliers fit, so that the sum need not be cast."""
    multiplier: Any = rescale.multiplier
    if rescale.first is not None or rescale.low is not None or not multiplier.ints.all():
        return False
    sums = QFormat.for_dot(source, fixed_constant(ints).format, ints.shape[1])
    if sums.bits + multiplier.format.bits + 2 > MOST_BITS:  # two: for the bias and the half
        return False
    most = max(abs(int(m) // (int(m) & -int(m))) for m in np.atleast_1d(multiplier.ints))
    return most.bit_length() + bits_of(ints) <= MOST_WEIGHT_BITS


def bits_of(ints: Ints) -> int:
    """The bits of a signed word that holds every integer."""
    return int(np.abs(ints).max()).bit_length() + 1


def sums_of(rows: Ints, bias: Ints | None, low: int, high: int) -> tuple[int, int]:
    """(lowest, highest) sum for weights (outputs, taps), a bias, and inputs in low..high or 0."""
    up, down = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    offset = 0 if bias is None else bias
    lowest = up * min(low, 0) + down * max(high, 0) + offset
    highest = up * max(high, 0) + down * min(low, 0) + offset
    return min(int(lowest.min()), 0), max(int(highest.max()), 0)
