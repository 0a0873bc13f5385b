# SPDX-License-Identifier: MIT
"""Preparing operands: conversion of integers, broadcasting, alignment of binary points, rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import BoundedInts, dtype_for
from fixedpoint_nn.numerics.conversion import checked_array
from fixedpoint_nn.numerics.qformat import QFormat


def exact_integers(other: Any) -> tuple[BoundedInts, QFormat] | None:
    """(integers, smallest format that holds them) of an integer or an array of integers.

    Floats, booleans and lists raise TypeError, because no rounding is given; for anything else the result is None.
    """
    if isinstance(other, (bool, float, complex, list, tuple)) or (
        isinstance(other, (np.generic, np.ndarray)) and other.dtype.kind not in "iu"
    ):
        what = f"{other!r}" if np.ndim(other) == 0 else f"an array of {np.asarray(other).dtype}"
        raise TypeError(
            f"a FixedArray is not mixed with {what}; make it one first: FixedArray.from_float(..., quantizer)"
        )
    if isinstance(other, (int, np.integer)):
        value = int(other)
        return BoundedInts.of(np.asarray(value)), QFormat.of_int(value)
    if isinstance(other, np.ndarray):
        ints = checked_array(other)
        lo, hi = min(int(ints.min()), 0), max(int(ints.max()), 0)
        return BoundedInts.of(ints), QFormat.enclosing(lo, hi, 0, signed=lo < 0)
    return None


def broadcast(function: Callable[..., Any], x: Array, y: Array) -> Any:
    """`function(x, y)` with NumPy's broadcasting."""
    try:
        return function(x, y)
    except ValueError:
        raise ValueError(f"shapes {x.shape} and {y.shape} do not fit together") from None


def aligned(parts: Sequence[tuple[BoundedInts, QFormat]]) -> tuple[list[Array], int, QFormat]:
    """(the parts' integers in one dtype with one binary point, their bound, their common format)."""
    format = QFormat.for_any([own for _, own in parts])
    shifts = [format.frac_bits - own.frac_bits for _, own in parts]
    bound = max(ints.bound << shift for (ints, _), shift in zip(parts, shifts, strict=True))
    dtype = dtype_for(bound)
    arrays = [ints.aligned(shift, dtype) for (ints, _), shift in zip(parts, shifts, strict=True)]
    return arrays, bound, format


def wider(ints: BoundedInts, bound: int) -> Array:
    """The integers in a dtype that holds results up to `bound`."""
    array = ints.array
    if array.dtype.kind != "f":
        return array
    return ints.to(np.promote_types(array.dtype, dtype_for(bound)))


def rows_and_columns(a: BoundedInts, b: BoundedInts) -> tuple[BoundedInts, BoundedInts, tuple[int, ...]]:
    """Operands as (rows, k) and (k, n), or (rows, groups, k) and (groups, k, n), and the shape of their product."""
    x, w = a.shape, b.shape  # not the arrays: of words, the floats would be made
    shapes = f"shapes {x} and {w} have no product"
    if not x or not w:
        raise ValueError(f"{shapes}: both need an axis")
    if len(w) > 3:
        raise ValueError(f"{shapes}: weights have at most 3 axes, (groups, taps, outputs)")
    columns = w[:-1] if len(w) > 1 else w
    before = x[: max(len(x) - len(columns), 0)]
    if x[len(before) :] != columns:
        raise ValueError(f"{shapes}: rows of {x[len(before) :]} values meet columns of {columns}")
    if 0 in x or 0 in w:
        raise ValueError(f"{shapes}: there is nothing to add")
    rows = a if len(x) == len(columns) + 1 else BoundedInts(a.array.reshape(-1, *columns), a.bound)
    if len(w) == 1:
        return rows, BoundedInts(b.array[:, np.newaxis], b.bound), before
    groups = w[0] if len(w) == 3 else 1
    return rows, b, (*before, groups * w[-1])
