# SPDX-License-Identifier: MIT
"""Shift, round, fit: integers of one format to integers of another, as the engine's requantizer does it."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.container import FLOAT32_EXACT, FLOAT64, FLOAT64_EXACT, INT64, OBJECT, Held, dtype_for
from fixedpoint_nn.overflow import fit, limits
from fixedpoint_nn.quantizer import Quantizer, convert
from fixedpoint_nn.rounding import round_floats

_FLOAT32_RANGE, _FLOAT64_RANGE = 100, 900


def requantized(held: Held, shift: int, quantizer: Quantizer) -> Held:
    """The integers times 2**shift, rounded and fitted by the quantizer.

    On floats a power of two only moves the exponent, so rounding sees the exact value.
    """
    f = quantizer.format
    scaled_bound = held.bound << shift if shift >= 0 else -(-held.bound >> -shift)
    lo, hi = limits(f, quantizer.overflow)
    array = held.array
    reach = f.magnitude if scaled_bound > f.magnitude else scaled_bound
    if array.dtype.kind != "f" or f.magnitude > FLOAT64_EXACT or not -900 <= shift <= 900 or reach > FLOAT64_EXACT:
        source = array if array.dtype == OBJECT else held.to(INT64)
        result = convert(source, shift, quantizer)
        return Held(np.asarray(result if array.dtype == OBJECT else result.astype(dtype_for(reach))), reach)
    if array.dtype != FLOAT64 and (
        f.magnitude > FLOAT32_EXACT or not -_FLOAT32_RANGE <= shift or scaled_bound >= 1 << _FLOAT32_RANGE
    ):
        array = array.astype(np.float64)
    if shift:
        fresh = np.asarray(array * array.dtype.type(2.0**shift))
    elif scaled_bound <= hi and scaled_bound <= -lo:
        return held
    else:
        fresh = array.copy()
    if shift < 0:
        fresh = round_floats(fresh, quantizer.rounding, fresh)
    if scaled_bound > hi or scaled_bound > -lo:
        fresh = fit(fresh, f, quantizer.overflow, fresh)
    return Held(fresh, reach)
