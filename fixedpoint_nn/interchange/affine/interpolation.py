# SPDX-License-Identifier: MIT
"""Functions of 16-bit codes by linear interpolation in a table of 512 segments, as in TFLite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.affine.multiplier import round_away
from fixedpoint_nn.numerics.arrays import Ints

LINES = 512
LOWEST, HIGHEST = -(1 << 15), (1 << 15) - 1
RANGE = HIGHEST - LOWEST


def interpolated(function: Callable[[Any], Any], low: Any, high: Any, unit: Any = 2.0 / RANGE) -> Ints:
    """The value for every 16-bit code, which span low..high; in units of `unit`, (65536,).

    Numbers are of the type of `low`, `high` and `unit`: doubles, or floats of 32 bits. The function takes an array.
    """
    number = np.asarray(low).dtype.type
    low, high, unit = number(low), number(high), number(unit)
    step = (high - low) / number(LINES)
    places = np.arange(LINES + 1).astype(number)
    at, after = low + places[:-1] * step, low + places[1:] * step
    scale = number(RANGE + 1) / (unit * number(HIGHEST) - unit * number(LOWEST))
    value, middle, following = (function(x) * scale for x in (at, at + step / number(2), after))
    left = round_away(value)
    error = round_away((following + left) / number(2)) - round_away(middle)
    ends = round_away(function(np.array([high])) * scale)
    if not np.isfinite(error).all():
        raise Unsuited(f"has the input {float(high):.6g}, and what comes of it is too large for a float")
    points = np.clip([*(left - round_away(error / number(2))), *ends], LOWEST, HIGHEST).astype(np.int64)
    codes = np.arange(LOWEST, HIGHEST + 1)
    place, rest = (codes >> 7) + 256, codes & 127
    slope = (
        (points[place + 1] - points[place]).astype(np.int16).astype(np.int64)
    )  # of 16 bits, as its variable
    line: Ints = points[place] + ((slope * rest + 64) >> 7)
    return line
