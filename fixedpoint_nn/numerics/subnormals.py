# SPDX-License-Identifier: MIT
"""Flushing of subnormal floats to zero, because processors are slow on them.

Weight decay drives weights without a gradient (those of pixels that are always black) towards zero. Below the smallest
normal number of their dtype they are *subnormal*, and a product with such an operand or result can take a hundred times
as long as others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array

MARGIN = 2.0**27  # so that products with activations down to 2**-27 stay normal


def negligible(dtype: np.dtype[Any]) -> float:
    """The magnitude below which a weight of this dtype is flushed: about 1.6e-30 for float32."""
    return float(np.finfo(dtype).tiny) * MARGIN


def count_subnormals(array: Array) -> int:
    """The number of subnormal elements."""
    if array.dtype.kind != "f":
        return 0
    magnitude = np.abs(array)
    return int(np.count_nonzero((magnitude > 0) & (magnitude < np.finfo(array.dtype).tiny)))


def flush_negligible(array: Array) -> None:
    """Set elements of a float array below `negligible` to zero, in place."""
    array[np.abs(array) < negligible(array.dtype)] = 0


def flush_subnormals(array: Array) -> None:
    """Set subnormal elements of a float array to zero, in place."""
    array[np.abs(array) < np.finfo(array.dtype).tiny] = 0


def flushed(array: Array) -> Array:
    """The array, or a copy with zeros for negligible floats."""
    if array.dtype.kind != "f" or not ((array != 0) & (np.abs(array) < negligible(array.dtype))).any():
        return array
    copy: Array = array.copy()
    flush_negligible(copy)
    return copy
