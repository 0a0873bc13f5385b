# SPDX-License-Identifier: MIT
"""The four overflows: what happens to an integer that is too large for its format."""

from __future__ import annotations

from enum import Enum

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat


class Overflow(Enum):
    """What happens to a value outside the range; the value is AMD's name."""

    WRAP = "WRAP"
    SATURATE = "SAT"
    SATURATE_SYMMETRIC = "SAT_SYM"
    ZERO = "SAT_ZERO"

    def __repr__(self) -> str:
        return f"Overflow.{self.name}"


def limits(format: QFormat, overflow: Overflow) -> tuple[int, int]:
    """The integers that pass unchanged; symmetric saturation never gives a signed format's lowest one."""
    if overflow is Overflow.SATURATE_SYMMETRIC and format.signed:
        return -format.int_max, format.int_max
    return format.int_min, format.int_max


def wrap(ints: Array, format: QFormat) -> Array:
    """The lowest bits of each int64, read in the format: the value modulo 2**bits."""
    if not format.signed:
        low: Array = ints & np.int64(format.int_max)
        return low
    unused = 64 - format.bits
    extended: Array = (ints << unused) >> unused
    return extended


def fit(values: Array, format: QFormat, overflow: Overflow, out: Array | None = None) -> Array:
    """Bring integers into the format: int64, Python's, or floats that hold them and both limits exactly."""
    lo, hi = limits(format, overflow)
    if overflow in (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC):
        result: Array = np.clip(values, lo, hi, out=out)
        return result
    if values.size == 0 or (values.min() >= lo and values.max() <= hi):
        return values
    if overflow is Overflow.ZERO:
        return np.where((values < lo) | (values > hi), np.zeros_like(values), values)
    if values.dtype == np.int64:
        return wrap(values, format)
    if values.dtype == object:
        return (values - format.int_min) % (1 << format.bits) + format.int_min
    # The remainder of a float is exact, and then fits an int64: it is below 2**63.
    rest = np.fmod(values, values.dtype.type(2.0**format.bits))
    return wrap(rest.astype(np.int64), format).astype(values.dtype)
