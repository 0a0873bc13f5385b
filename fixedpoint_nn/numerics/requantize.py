# SPDX-License-Identifier: MIT
"""Requantising: integers of one format to integers of another, as the engine's requantiser."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import (
    FLOAT32,
    FLOAT32_EXACT,
    FLOAT64,
    FLOAT64_EXACT,
    INT64,
    OBJECT,
    BoundedInts,
    dtype_for,
)
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.deferred_product import DeferredProduct
from fixedpoint_nn.numerics.native.library import Kernels, chosen
from fixedpoint_nn.numerics.overflow import Overflow, fit, limits
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import round_floats

_WORTH_A_CALL = 1024  # elements
_FLOAT32_POWERS, _FLOAT64_POWERS = 100, 900  # well within the range of the exponents


def requantized(ints: BoundedInts, shift: int, quantizer: Quantizer) -> BoundedInts:
    """The integers times 2**shift, rounded and fitted by the quantizer.

    On floats a power of two only changes the exponent, so the value before rounding is exact.
    """
    f = quantizer.format
    lo, hi = limits(f, quantizer.overflow)
    scaled = ints.bound << shift if shift >= 0 else -(-ints.bound >> -shift)
    fits = scaled <= hi and scaled <= -lo
    # Wrapping can enlarge magnitudes; everything else only reduces them.
    bound = f.magnitude if quantizer.overflow is Overflow.WRAP and not fits else min(scaled, f.magnitude)
    if isinstance(ints, DeferredProduct) and ints.can_requantize(shift, quantizer):
        return ints.requantized(shift, quantizer, fits, bound)
    array = ints.array
    if array.dtype.kind != "f" or f.magnitude > FLOAT64_EXACT or abs(shift) > _FLOAT64_POWERS:
        if array.dtype == OBJECT:
            return BoundedInts(
                np.asarray(convert(array, shift, f, quantizer.rounding, quantizer.overflow)), bound
            )
        fitted = convert(ints.to(INT64), shift, f, quantizer.rounding, quantizer.overflow)
        return BoundedInts(np.asarray(fitted.astype(dtype_for(bound))), bound)
    if f.magnitude > FLOAT32_EXACT or abs(shift) > _FLOAT32_POWERS:
        array = ints.to(FLOAT64)
    if shift == 0 and fits:
        return ints
    if not fits and _clips(array, shift, quantizer) and (kernels := chosen().kernels) is not None:
        return BoundedInts(_by_kernels(kernels, array, shift, quantizer), bound, f.signed)
    fresh = np.asarray(array * array.dtype.type(2.0**shift))
    if shift < 0:
        fresh = round_floats(fresh, quantizer.rounding, fresh)
    if not fits:
        fresh = np.asarray(fit(fresh, f, quantizer.overflow, fresh))
    return BoundedInts(fresh, bound, f.signed)


def looked_up(codes: BoundedInts, entries: BoundedInts, bits: int) -> BoundedInts:
    """The table's entry at the low `bits` bits of each code."""
    array, table = codes.array, entries.array
    kernels = chosen().kernels if array.size >= _WORTH_A_CALL else None
    if kernels is not None and array.dtype == table.dtype == FLOAT32 and array.flags.c_contiguous:
        result = np.empty(array.shape, np.float32)
        kernels.lookup(array, table, bits, result)
        return BoundedInts(result, entries.bound)
    return BoundedInts(table.take(codes.addresses(bits)), entries.bound)


def _clips(array: Array, shift: int, quantizer: Quantizer) -> bool:
    """Whether the compiled kernel applies: a right shift with saturation, of enough float32 elements."""
    return (
        shift < 0
        and array.dtype == FLOAT32
        and array.ndim > 0
        and array.size >= _WORTH_A_CALL
        and array.strides[-1] == array.itemsize
        and quantizer.overflow in (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)
    )


def _by_kernels(kernels: Kernels, array: Array, shift: int, quantizer: Quantizer) -> Array:
    matrix = array.reshape(-1, array.shape[-1])  # a view, or a copy where rows have gaps of two kinds
    result = np.empty(array.shape, np.float32)
    kernels.requantize(matrix, shift, quantizer, result)
    return result
