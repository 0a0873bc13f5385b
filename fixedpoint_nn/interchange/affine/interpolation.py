# SPDX-License-Identifier: MIT
"""Functions of 16-bit codes by linear interpolation in a table of 512 segments, as in TFLite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.multiplier import round_away
from fixedpoint_nn.numerics.arrays import Ints

LINES = 512
LOWEST, HIGHEST = -(1 << 15), (1 << 15) - 1
RANGE = HIGHEST - LOWEST


def interpolated(function: Callable[[Any], Any], low: float, high: float) -> Ints:
    """The value for every 16-bit code, which span low..high; in units of 2/65535, (65536,)."""
    step = (high - low) / LINES
    at = low + np.arange(LINES) * step
    scale = (RANGE + 1) / (2.0 / RANGE * HIGHEST - 2.0 / RANGE * LOWEST)
    value, middle, following = (
        np.array([function(float(x)) for x in places])
        for places in (at, at + step / 2, low + np.arange(1, LINES + 1) * step)
    )
    left = round_away(value * scale)
    error = round_away((following * scale + left) / 2) - round_away(middle * scale)
    ends = round_away(function(float(high)) * scale)
    points = np.clip([*(left - round_away(error / 2)), ends], LOWEST, HIGHEST).astype(np.int64)
    codes = np.arange(LOWEST, HIGHEST + 1)
    place, rest = (codes >> 7) + 256, codes & 127
    line: Ints = points[place] + (((points[place + 1] - points[place]) * rest + 64) >> 7)
    return line
