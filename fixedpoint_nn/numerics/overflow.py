# SPDX-License-Identifier: MIT
"""Overflow handling: the four ways to bring an integer into the range of its format."""

from __future__ import annotations

from enum import Enum

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat


class Overflow(Enum):
    """How a value outside the format's range is handled; the enum's values are AMD's names.

    >>> from fixedpoint_nn import FixedArray, Overflow, Q, Quantizer
    >>> [int(FixedArray.from_float(-20.0, Quantizer(Q(4, 0), overflow=mode)).ints) for mode in Overflow]
    [-4, -8, -7, 0]
    """

    WRAP = "WRAP"
    SATURATE = "SAT"
    SATURATE_SYMMETRIC = "SAT_SYM"
    ZERO = "SAT_ZERO"

    def __repr__(self) -> str:
        return f"Overflow.{self.name}"


def limits(format: QFormat, overflow: Overflow) -> tuple[int, int]:
    """(lowest, highest) integer that passes unchanged; symmetric saturation excludes a signed format's lowest."""
    if overflow is Overflow.SATURATE_SYMMETRIC and format.signed:
        return -format.int_max, format.int_max
    return format.int_min, format.int_max


def wrap(ints: Array, format: QFormat) -> Array:
    """int64 integers modulo 2**bits, in the format's range."""
    if not format.signed:
        low: Array = ints & np.int64(format.int_max)
        return low
    unused = 64 - format.bits
    extended: Array = (ints << unused) >> unused
    return extended


def fit(values: Array, format: QFormat, overflow: Overflow, out: Array | None = None) -> Array:
    """Integers brought into the format's range: int64, Python's, or floats that hold them and both limits exactly."""
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
    # A float's remainder is exact, and is below 2**63, so it fits an int64.
    rest = np.fmod(values, values.dtype.type(2.0**format.bits))
    return wrap(rest.astype(np.int64), format).astype(values.dtype)
