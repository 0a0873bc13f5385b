# SPDX-License-Identifier: MIT
"""Where integers live: the cheapest kind of array that holds every one of them exactly.

Floats that hold integers are as exact as integers, and only they have fast matrix products, rounding and scaling.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT32_EXACT = 1 << 24                 # float32 holds every integer up to here, inclusive,
FLOAT64_EXACT = 1 << 53                 # and float64 up to there

Array = NDArray[Any]
FLOAT32, FLOAT64, INT64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)


def dtype_for(bound: int) -> np.dtype[Any]:
    """The cheapest kind of array for integers of at most this magnitude."""
    if bound <= FLOAT32_EXACT:
        return FLOAT32
    return FLOAT64 if bound <= FLOAT64_EXACT else INT64


def bound_of(ints: Array) -> int:
    """The largest magnitude among integers, in any container."""
    if ints.size == 0:
        return 0
    return max(int(ints.max()), -int(ints.min()))
