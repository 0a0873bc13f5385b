# SPDX-License-Identifier: MIT
"""Indices: which ones `take` accepts, and how a gradient is added back to the elements that an index names."""

from __future__ import annotations

from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedpoint_nn.numerics.arrays import Array, refuse_masked

_BASIC = (int, np.integer, slice, EllipsisType, type(None))


def checked_indices(indices: ArrayLike, count: int) -> NDArray[Any]:
    """Integer indices of `count` rows, each 0 to count - 1; anything else raises."""
    refuse_masked(indices)
    ids = np.asarray(indices)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"indices are integers, not {ids.dtype}")
    if ids.size and (ids.min() < 0 or ids.max() >= count):
        worst = int(ids.min()) if ids.min() < 0 else int(ids.max())
        raise IndexError(f"index {worst} is outside of the {count} rows, 0 to {count - 1}")
    return ids


def add_at(total: Array, index: Any, values: Array) -> None:
    """`total[index] += values`, adding once for every time that an element is named."""
    parts = index if isinstance(index, tuple) else (index,)
    # A bool is an int to Python, and a mask to NumPy, which names nothing twice.
    if all(isinstance(part, _BASIC) for part in parts):
        total[index] += values
    else:
        np.add.at(total, index, values)
