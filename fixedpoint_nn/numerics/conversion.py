# SPDX-License-Identifier: MIT
"""Conversion into a format: scale by a power of two, round, handle overflow.

Scaling is exact on int64, on Python integers, and on floats, because a power of two only changes a float's exponent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.numerics.arrays import Array, Ints, refuse_masked
from fixedpoint_nn.numerics.bounded_ints import (
    FLOAT32_EXACT,
    FLOAT64_EXACT,
    INT64,
    BoundedInts,
    CompactInts,
    dtype_for,
    words_for,
)
from fixedpoint_nn.numerics.overflow import Overflow, fit, limits
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.rounding import Rounding, round_floats, shift_right

_WORTH_WORDS = 1 << 14  # elements from which words of one or two bytes save time
_BLOCK = 1 << 17  # elements per block, so that they stay in the cache between passes
_FLOAT32_POWERS, _FLOAT64_POWERS = 100, 900  # well within the range of the exponents


# ---- integers ----------------------------------------------------------------------------------------------


def convert(values: Array, shift: int, format: QFormat, rounding: Rounding, overflow: Overflow) -> Array:
    """Integers (int64 or Python's) times 2**shift, rounded and fitted to the format."""
    if shift <= 0:
        return fit(shift_right(values, -shift, rounding), format, overflow)
    if overflow is Overflow.WRAP:
        return fit(values << shift if shift < 64 else np.zeros_like(values), format, overflow)
    # Shifting left could leave 64 bits, so compare before: n * 2**s <= hi exactly when n <= floor(hi / 2**s).
    lo, hi = limits(format, overflow)
    over, under = values > hi >> shift, values < -(-lo >> shift)
    shifted: Array = np.where(over | under, 0, values) << min(shift, 63)
    if overflow is Overflow.ZERO:
        return shifted
    return np.where(over, hi, np.where(under, lo, shifted))


# ---- floats ------------------------------------------------------------------------------------------------


# Registered ways to convert large arrays of floats, by format, rounding, overflow and dtype of the integers: each
# returns these and a bound of their magnitudes, or None if it cannot convert them.
FASTER: list[Callable[[Array, QFormat, Rounding, Overflow, np.dtype[Any]], tuple[Array, int] | None]] = []


@dataclass
class ConversionStats:
    """Statistics of converted floats: extremes before overflow handling, and counts."""

    count_rounded: bool
    low: float = inf
    high: float = -inf
    outside: int = 0
    first: int | None = None  # the flat index of the first one that does not fit
    rounded: int = 0


def quantize_floats(
    x: Array,
    format: QFormat,
    rounding: Rounding,
    overflow: Overflow,
    stats: ConversionStats | None = None,
    wide: bool = False,
) -> BoundedInts:
    """The integers of a checked array of floats in this format; NaN and infinity raise ValueError.

    With `wide`, int64 is wanted, if that takes no other pass.
    """
    if x.dtype.kind == "i":
        return BoundedInts.of(convert(x, format.frac_bits, format, rounding, overflow))
    flat = x.reshape(-1)
    compact = (
        flat.size >= _WORTH_WORDS and format.bits <= 16 and stats is None
    )  # statistics are collected verb by verb
    words = words_for(format.bits, format.signed) if compact else dtype_for(format.magnitude)
    if flat.size >= _WORTH_WORDS and stats is None:
        for convert_faster in FASTER:
            found = convert_faster(flat, format, rounding, overflow, INT64 if wide else words)
            if found is not None:
                kind = CompactInts if compact and not wide else BoundedInts
                return kind(found[0].reshape(x.shape), found[1], format.signed)
    result = np.empty(flat.size, words)
    work = _working_dtype(x, format, overflow)
    in_place = work == result.dtype
    scratch = result if in_place else np.empty(min(_BLOCK, flat.size), work)
    lo, hi = limits(format, overflow)
    # Below 2**24 a float32 is in range exactly when the original number is, and is faster to compare.
    ask_result = format.magnitude < FLOAT32_EXACT and stats is None and not compact
    bound = 0
    for start in range(0, flat.size, _BLOCK):
        block, part = flat[start : start + _BLOCK], result[start : start + _BLOCK]
        space = part if in_place else scratch[: block.size]
        steps = round_floats(in_steps(block, format, space), rounding, space)
        if ask_result and not in_place:
            with np.errstate(over="ignore"):
                part[...] = steps
        asked = part if ask_result else steps
        low, high = float(asked.min()), float(asked.max())
        if stats is not None:
            stats.low, stats.high = min(stats.low, low), max(stats.high, high)
            if stats.count_rounded:
                stats.rounded += int(np.count_nonzero(in_steps(block.astype(np.float64), format) != steps))
        if lo <= low and high <= hi:  # so there is no NaN
            if steps is not part and not ask_result:
                part[...] = steps
            bound = max(bound, int(-low), int(high))
            continue
        if not (np.isfinite([low, high]).all() or np.isfinite(block).all()):
            raise ValueError(_not_finite(x))
        if stats is not None:
            outside = _outside(steps, lo, hi, low, high)
            stats.outside += int(np.count_nonzero(outside))
            stats.first = start + int(np.argmax(outside)) if stats.first is None else stats.first
        fitted = _fitted(steps, format, overflow)
        if fitted is not part:
            part[...] = fitted
        bound = format.magnitude
    shaped = result.reshape(x.shape)
    return (CompactInts if compact else BoundedInts)(shaped, bound, format.signed)


def _outside(steps: Array, lo: int, hi: int, low: float, high: float) -> Array:
    """True for integral floats, which are from `low` to `high`, outside lo..hi.

    hi + 1 is a power of two, which a float represents; a lo that is not representable rounds to lo - 1.
    """
    sides: list[Array] = []
    if high > hi:
        sides.append(steps >= steps.dtype.type(hi + 1))
    if low < lo:
        edge = steps.dtype.type(lo)
        sides.append(steps < edge if int(edge) == lo else steps <= edge)
    return sides[0] if len(sides) == 1 else sides[0] | sides[1]


def nearest_floats(x: Array, format: QFormat, rounding: Rounding, overflow: Overflow) -> Array:
    """Each float rounded to a value of the format, in the same dtype; NaN stays NaN."""
    flat, work = x.reshape(-1), _working_dtype(x, format, overflow)
    result = np.empty_like(flat)
    scratch = np.empty(min(_BLOCK, flat.size), work)
    for start in range(0, flat.size, _BLOCK):
        block, steps = flat[start : start + _BLOCK], scratch[: flat.size - start]
        known = None if np.isfinite(block).all() else np.isfinite(block)
        numbers = block if known is None else np.where(known, block, 0)
        steps = _fitted(round_floats(in_steps(numbers, format, steps), rounding, steps), format, overflow)
        if abs(format.frac_bits) <= _FLOAT32_POWERS and steps.dtype.kind == "f":
            nearest = np.multiply(steps, work.type(format.step), out=steps)
        else:
            nearest = np.ldexp(steps.astype(np.float64), -format.frac_bits)
        result[start : start + _BLOCK] = nearest if known is None else np.where(known, nearest, block)
    return result.reshape(x.shape)


def in_steps(x: Array, format: QFormat, out: Array | None = None) -> Array:
    """Floats divided by the format's step: exact, except for overflow to infinity, and flushed below 2**-900."""
    with np.errstate(over="ignore", under="ignore"):
        if abs(format.frac_bits) > _FLOAT64_POWERS:
            steps = np.ldexp(x.astype(np.float64), format.frac_bits)
        else:
            power = 2.0**format.frac_bits
            steps = np.multiply(x, power if out is None else out.dtype.type(power), out=out)
    if format.frac_bits < 0:
        # A subnormal result lost bits; any tiny number of its sign rounds equally.
        tiny = (np.abs(steps) < 2.0**-900) & (x != 0)
        if tiny.any():
            steps = np.where(tiny, np.copysign(np.float64(2.0**-900), x), steps)
    return steps


def _working_dtype(x: Array, format: QFormat, overflow: Overflow) -> np.dtype[Any]:
    """float32 if it holds every intermediate value, else float64.

    Scaling may overflow to infinity, which matters only for WRAP.
    """
    narrow = format.magnitude <= FLOAT32_EXACT and 0 <= format.frac_bits <= _FLOAT32_POWERS
    return np.dtype(
        np.float32 if narrow and x.dtype == np.float32 and overflow is not Overflow.WRAP else np.float64
    )


def _fitted(steps: Array, format: QFormat, overflow: Overflow) -> Array:
    """Overflow handling of rounded floats, in place."""
    if overflow is Overflow.WRAP:
        # Beyond a double: the number was a multiple of 2**900, and wraps to zero.
        steps[np.isinf(steps)] = 0
    if format.magnitude <= FLOAT64_EXACT:
        return fit(steps, format, overflow, steps)
    return _fit_wide(steps, format, overflow)


def _fit_wide(values: Array, format: QFormat, overflow: Overflow) -> Array:
    """`fit` for float64 integers and a format whose limits float64 does not represent; returns int64."""
    if overflow is Overflow.WRAP:
        return fit(np.fmod(values, 2.0**format.bits).astype(np.int64), format, overflow)
    # Every integral double below 2**63 is an int64; the others are outside every format.
    edge = 2.0**63
    ints = np.where(np.abs(values) < edge, values, 0).astype(np.int64)
    lo, hi = limits(format, overflow)
    over, under = (values >= edge) | (ints > hi), (values <= -edge) | (ints < lo)
    if overflow is Overflow.ZERO:
        return np.where(over | under, 0, ints)
    return np.where(over, hi, np.where(under, lo, ints))


# ---- checked arguments -------------------------------------------------------------------------------------


def checked_array(x: ArrayLike) -> Array:
    """The argument as a float64, float32 or int64 array with at least one element; raises for any other."""
    if type(x) is not np.ndarray:
        refuse_masked(x)
    try:
        array = np.asarray(x)
    except ValueError:
        raise ValueError("the rows of a nested list differ in length; make them equally long") from None
    if array.size == 0:
        raise ValueError(f"an array of shape {array.shape} holds no values; give at least one")
    if array.dtype.kind in "iu":
        return checked_ints(array)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"numbers are float64, float32, float16 or integers, not {array.dtype}")
    return array


def checked_ints(array: Array) -> Ints:
    """An array of integers as int64; raises for any other."""
    if type(array) is not np.ndarray:
        refuse_masked(array)
    if array.dtype.kind not in "iu":
        raise TypeError(f"integers are expected, not {array.dtype}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{array.max()} does not fit into 64 bits with a sign")
    return array.astype(np.int64, copy=False)


def place_of(first: Array) -> str:
    """The index of the first true element as text, for messages."""
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(first)), first.shape))
    return f" at index {place[0] if len(place) == 1 else place}" if place else ""


def _not_finite(x: Array) -> str:
    wrong = ~np.isfinite(x)
    return f"{float(x[wrong][0])} cannot be quantised{place_of(wrong)}; replace NaN and infinities first"
