# SPDX-License-Identifier: MIT
"""Checking of indices for `take`, and scattering of gradients by index."""

from __future__ import annotations

from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedpoint_nn.numerics.arrays import Array, refuse_masked

_BASIC = (int, np.integer, slice, EllipsisType, type(None))


def checked_indices(indices: ArrayLike, count: int) -> NDArray[Any]:
    """The indices as an integer array; raises unless each is in 0..count - 1."""
    refuse_masked(indices)
    ids = np.asarray(indices)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"indices are integers, not {ids.dtype}")
    if ids.size and (ids.min() < 0 or ids.max() >= count):
        worst = int(ids.min()) if ids.min() < 0 else int(ids.max())
        raise IndexError(f"index {worst} is outside of the {count} rows, 0 to {count - 1}")
    return ids


def add_at(total: Array, index: Any, values: Array) -> None:
    """`total[index] += values`, accumulating for repeated indices."""
    parts = index if isinstance(index, tuple) else (index,)
    # A bool is an int in Python, but a mask in NumPy, which repeats nothing.
    if all(isinstance(part, _BASIC) for part in parts):
        total[index] += values
    else:
        np.add.at(total, index, values)
