# SPDX-License-Identifier: MIT
"""Floats so small that processors slow down on them: found, and set to zero.

Weight decay drives weights that no gradient moves (those of pixels that are always black) towards zero for ever.
Below the smallest normal number of their format they are *subnormal*, and a product with such an operand, or with
such a result, can take a hundred times as long as any other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array

MARGIN = 2.0**27  # products with activations down to 2**-27 stay normal, too


def negligible(dtype: np.dtype[Any]) -> float:
    """The magnitude below which a weight of this format is flushed: about 1.6e-30 for float32."""
    return float(np.finfo(dtype).tiny) * MARGIN


def count_subnormals(array: Array) -> int:
    """How many elements are neither zero nor normal numbers of the array's format."""
    if array.dtype.kind != "f":
        return 0
    magnitude = np.abs(array)
    return int(np.count_nonzero((magnitude > 0) & (magnitude < np.finfo(array.dtype).tiny)))


def flush_negligible(array: Array) -> None:
    """Set the elements of a float array that are below `negligible` to zero, in place."""
    array[np.abs(array) < negligible(array.dtype)] = 0


def flush_subnormals(array: Array) -> None:
    """Set the subnormal elements of a float array to zero, in place."""
    array[np.abs(array) < np.finfo(array.dtype).tiny] = 0


def flushed(array: Array) -> Array:
    """The array, or a copy of it with zeros where it holds negligible floats."""
    if array.dtype.kind != "f" or not ((array != 0) & (np.abs(array) < negligible(array.dtype))).any():
        return array
    copy: Array = array.copy()
    flush_negligible(copy)
    return copy
