# SPDX-License-Identifier: MIT
"""Shift, round, fit: integers of one format to integers of another, as the engine's requantizer does it."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numerics.bounded_ints import (
    FLOAT32_EXACT,
    FLOAT64,
    FLOAT64_EXACT,
    INT64,
    OBJECT,
    BoundedInts,
    dtype_for,
)
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.overflow import Overflow, fit, limits
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import round_floats

_FLOAT32_POWERS, _FLOAT64_POWERS = 100, 900  # far inside of what the exponents hold


def requantized(ints: BoundedInts, shift: int, quantizer: Quantizer) -> BoundedInts:
    """The integers times 2**shift, rounded and fitted by the quantizer.

    On floats a power of two only moves the exponent, so rounding sees the exact value.
    """
    f = quantizer.format
    lo, hi = limits(f, quantizer.overflow)
    scaled = ints.bound << shift if shift >= 0 else -(-ints.bound >> -shift)
    fits = scaled <= hi and scaled <= -lo
    # Wrapping makes large numbers of small ones; everything else only makes them smaller.
    bound = f.magnitude if quantizer.overflow is Overflow.WRAP and not fits else min(scaled, f.magnitude)
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
    fresh = np.asarray(array * array.dtype.type(2.0**shift))
    if shift < 0:
        fresh = round_floats(fresh, quantizer.rounding, fresh)
    if not fits:
        fresh = np.asarray(fit(fresh, f, quantizer.overflow, fresh))
    return BoundedInts(fresh, bound)
