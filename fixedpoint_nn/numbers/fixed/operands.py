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
    x, w = a.array, b.array
    shapes = f"shapes {x.shape} and {w.shape} have no product"
    if x.ndim == 0 or w.ndim == 0:
        raise ValueError(f"{shapes}: both need an axis")
    if w.ndim > 3:
        raise ValueError(f"{shapes}: weights have at most 3 axes, (groups, taps, outputs)")
    columns = w.shape[:-1] if w.ndim > 1 else w.shape
    before = x.shape[: max(x.ndim - len(columns), 0)]
    if x.shape[len(before) :] != columns:
        raise ValueError(f"{shapes}: rows of {x.shape[len(before) :]} values meet columns of {columns}")
    if x.size == 0 or w.size == 0:
        raise ValueError(f"{shapes}: there is nothing to add")
    rows = a if x.ndim == len(columns) + 1 else BoundedInts(x.reshape(-1, *columns), a.bound)
    if w.ndim == 1:
        return rows, BoundedInts(w[:, np.newaxis], b.bound), before
    groups = w.shape[0] if w.ndim == 3 else 1
    return rows, b, (*before, groups * w.shape[-1])
