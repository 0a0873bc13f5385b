# SPDX-License-Identifier: MIT
"""Large arrays of floats to integers of a format by the compiled kernels, in one pass; it registers itself."""

from __future__ import annotations

import ctypes

import numpy as np

from fixedpoint_nn.numerics import conversion
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT64_EXACT
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.mode_codes import ROUNDINGS, code_of, rounding_of
from fixedpoint_nn.numerics.native.library import MORE_TESTS, Kernels, chosen
from fixedpoint_nn.numerics.overflow import Overflow, limits
from fixedpoint_nn.numerics.qformat import Q, QFormat
from fixedpoint_nn.numerics.rounding import Rounding

# In the order of their codes in quantize.h.
KINDS = tuple(map(np.dtype, (np.int8, np.uint8, np.int16, np.uint16, np.int64, np.float32, np.float64)))
MOST_FRACTION_BITS = 100  # a product with 2**100 is far from the end of the exponents
_CLIPS = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)


class _Quantize(ctypes.Structure):
    """The structure `Quantize` of quantize.h."""

    _fields_ = [
        ("count", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("doubles", "rounding", "kind")),
        *((name, ctypes.c_double) for name in ("scale", "low", "high", "largest")),
        ("outside", ctypes.c_int64),
    ]


def quantized(
    x: Array,
    format: QFormat,
    rounding: Rounding,
    overflow: Overflow,
    dtype: np.dtype[np.generic],
    kernels: Kernels | None = None,
) -> tuple[Array, int] | None:
    """(integers in `dtype`, a bound of their magnitudes) of contiguous floats, or None where NumPy must do it.

    A product with a negative power of two may lose bits of the smallest floats, wide integers those of the limits.
    With `kernels`, these are used instead of the chosen ones.
    """
    kernels = kernels or chosen().kernels
    exact = 0 <= format.frac_bits <= MOST_FRACTION_BITS and format.magnitude <= FLOAT64_EXACT
    known = dtype in KINDS and x.dtype in (np.float32, np.float64) and x.flags.c_contiguous
    if kernels is None or not exact or not known:
        return None
    low, high = limits(format, overflow)
    described = _Quantize(
        x.size, x.dtype == np.float64, code_of(rounding), KINDS.index(dtype), 2.0**format.frac_bits, low, high
    )
    result = np.empty(x.shape, dtype)
    kernels.quantize(described, x, result)
    if not np.isfinite(described.largest) or (described.outside and overflow not in _CLIPS):
        return None
    return result, format.magnitude if described.outside else int(described.largest)


def self_test(kernels: Kernels) -> str:
    """Compare all roundings with those of integers, ties and all; returns what differs, empty if nothing."""
    rng, format = np.random.default_rng(0), Q(5, 4)
    ints = np.concatenate([np.arange(-(1 << 13), 1 << 13, 64), rng.integers(-(1 << 15), 1 << 15, 700)])
    for number in range(len(ROUNDINGS)):
        rounding, overflow = rounding_of(number), _CLIPS[number % 2]
        expected = convert(ints, -6, format, rounding, overflow)
        x = (ints / (1 << 10)).astype((np.float32, np.float64)[number % 2])
        found = quantized(x, format, rounding, overflow, KINDS[(2, 4, 5, 6)[number % 4]], kernels)
        if found is None or not np.array_equal(found[0], expected) or found[1] < np.abs(expected).max():
            return f"floats to integers, {rounding.name}"
    return ""


conversion.FASTER.append(quantized)
MORE_TESTS.append(self_test)
