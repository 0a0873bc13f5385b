# SPDX-License-Identifier: MIT
"""Matrix products through a modelled accumulator, bit for bit, in the order k = 0, 1, 2, ...

Wrapping commutes with addition: one wrap at the end is equal to a wrap at each step, whether or not the products are
rounded. The other overflows do not commute, but no step meets one in an output whose sum of absolute products stays in
range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import (
    FLOAT64_EXACT,
    INT64,
    INT64_EXACT,
    OBJECT,
    BoundedInts,
    dtype_for,
)
from fixedpoint_nn.numerics.matmul import product, product_bound
from fixedpoint_nn.numerics.overflow import Overflow, fit, limits, wrap
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.requantize import requantized

_BLOCK = 1 << 15  # outputs per block, so that sums stay in the cache between steps


@dataclass(frozen=True)
class Products:
    """The range of the products of two formats, which may exceed the width of any format."""

    frac_bits: int
    int_min: int
    int_max: int

    @classmethod
    def of(cls, a: QFormat, b: QFormat) -> Products:
        """The range of a times b."""
        corners = [x * y for x in (a.int_min, a.int_max) for y in (b.int_min, b.int_max)]
        return cls(a.frac_bits + b.frac_bits, min(corners), max(corners))


@dataclass
class AccumulatorMonitor:
    """The extremes of sums before overflow handling, and the outputs that left the range at some step.

    If an overflow in between is impossible or harmless, only the final sums are recorded.
    """

    outside: Array | None = None
    lo: int = 0
    hi: int = 0

    def record(self, sums: Array, accumulator: Accumulator) -> Array:
        """Update the extremes; returns a mask (rows, outputs) of the sums that the accumulator does not hold."""
        self.lo, self.hi = min(self.lo, int(sums.min())), max(self.hi, int(sums.max()))
        low, high = limits(accumulator.format, accumulator.overflow)
        outside: Array = (sums < low) | (sums > high)
        return outside.reshape(len(sums), -1)


def accumulated(
    a: BoundedInts,
    b: BoundedInts,
    products: Products,
    accumulator: Accumulator,
    initial: BoundedInts | None,
    monitor: AccumulatorMonitor | None = None,
) -> BoundedInts:
    """a @ b through the accumulator: (rows, k) @ (k, n), or (rows, groups, k) @ (groups, k, n) -> (rows, groups * n).

    `initial` is the accumulator's start value, in the result's shape.
    """
    rounding = _effective(accumulator.product, products)
    shift = accumulator.shift_of(products.frac_bits)
    if rounding is None:
        shift = accumulator.format.frac_bits - products.frac_bits
    if rounding is None:
        start = 0 if initial is None else initial.bound
        bound = (product_bound(a, b) << shift) + start
        # A bound on magnitudes does not exclude sums below zero, which an unsigned accumulator cannot hold.
        two_sided = accumulator.format.signed or products.int_min == 0
        if two_sided and bound <= accumulator.format.int_max:
            result = _plus(product(a, b).shifted(shift), initial, bound)
            if monitor is not None:
                monitor.outside = monitor.record(result.array, accumulator)
            return result
        if accumulator.overflow is Overflow.WRAP:
            return _wrapped(a, b, shift, accumulator, initial, monitor)
        if two_sided and bound <= FLOAT64_EXACT:
            return _mostly_exact(a, b, products, shift, accumulator, initial, bound, monitor)
    return _ordered(a, b, products, rounding, shift, accumulator, initial, monitor)


def _effective(quantizer: Quantizer | None, products: Products) -> Quantizer | None:
    """None if the quantizer changes no product, other than adding fraction bits."""
    if quantizer is None:
        return None
    f = quantizer.format
    extra = f.frac_bits - products.frac_bits
    if extra < 0 or products.int_max << extra > f.int_max:
        return quantizer
    lowest = -f.int_max if quantizer.overflow is Overflow.SATURATE_SYMMETRIC and f.signed else f.int_min
    return quantizer if products.int_min << extra < lowest else None


def _plus(total: BoundedInts, initial: BoundedInts | None, bound: int) -> BoundedInts:
    if initial is None:
        return total
    dtype = dtype_for(bound)
    return BoundedInts(total.to(dtype) + initial.to(dtype), bound)


def _magnitudes(bounded: BoundedInts) -> BoundedInts:
    return BoundedInts(np.abs(bounded.array), bounded.bound)


def _wrapped(
    a: BoundedInts,
    b: BoundedInts,
    shift: int,
    accumulator: Accumulator,
    initial: BoundedInts | None,
    monitor: AccumulatorMonitor | None,
) -> BoundedInts:
    """The sum modulo 2**64, whose low bits are the accumulator's."""
    total = product(a, b).to(INT64)
    ints = total << np.int64(shift) if shift < 64 else np.zeros_like(total)
    if initial is not None:
        ints = ints + initial.to(INT64)
    if monitor is not None:
        monitor.outside = monitor.record(ints, accumulator)
    format = accumulator.format
    return BoundedInts(wrap(ints, format).astype(dtype_for(format.magnitude)), format.magnitude)


def _mostly_exact(
    a: BoundedInts,
    b: BoundedInts,
    products: Products,
    shift: int,
    accumulator: Accumulator,
    initial: BoundedInts | None,
    bound: int,
    monitor: AccumulatorMonitor | None,
) -> BoundedInts:
    """Exact products for rows in which |initial| + |a| @ |b| excludes an overflow; the others step by step."""
    f = accumulator.format
    exact = _plus(product(a, b).shifted(shift), initial, bound)
    start = None if initial is None else _magnitudes(initial)
    reach = _plus(product(_magnitudes(a), _magnitudes(b)).shifted(shift), start, bound)
    safe = (reach.array <= f.int_max).all(axis=1)
    if monitor is not None:
        monitor.outside = np.zeros(exact.array.shape, bool)
        if safe.any():
            monitor.record(exact.array[safe], accumulator)
    if safe.all():
        return BoundedInts(exact.array, min(bound, f.magnitude))
    rows = np.flatnonzero(~safe)
    if initial is not None:
        initial = BoundedInts(initial.array[rows], initial.bound)
    inner = None if monitor is None else AccumulatorMonitor()
    ordered = _ordered(
        BoundedInts(a.array[rows], a.bound), b, products, None, shift, accumulator, initial, inner
    )
    if monitor is not None and inner is not None and monitor.outside is not None:
        monitor.outside[rows], monitor.lo, monitor.hi = (
            inner.outside,
            min(monitor.lo, inner.lo),
            max(monitor.hi, inner.hi),
        )
    if len(rows) == len(exact.array):
        return ordered
    result = exact.array.copy()
    result[rows] = ordered.array
    return BoundedInts(result, f.magnitude)


def _ordered(
    a: BoundedInts,
    b: BoundedInts,
    products: Products,
    rounding: Quantizer | None,
    shift: int,
    accumulator: Accumulator,
    initial: BoundedInts | None,
    monitor: AccumulatorMonitor | None,
) -> BoundedInts:
    """Step by step over k, each step for a block of rows and all outputs at once."""
    f, wraps = accumulator.format, accumulator.overflow is Overflow.WRAP
    groups, terms, outputs = b.array.shape if b.array.ndim == 3 else (1, *b.array.shape)
    rows = len(a.array)
    one = a.bound * b.bound
    term = (one if rounding is None else rounding.format.magnitude) << shift
    reach = (0 if initial is None else initial.bound) + terms * term if wraps else f.magnitude + term
    dtype = dtype_for(max(one, reach, f.magnitude))
    if wraps and dtype == OBJECT and max(one, term) <= INT64_EXACT:
        dtype = INT64  # sums modulo 2**64 wrap equally
    columns = np.ascontiguousarray(a.to(dtype).reshape(rows, groups, terms).transpose(2, 0, 1))
    matrix = b.to_cached(dtype).reshape(groups, terms, outputs)
    result = np.zeros((rows, groups, outputs), dtype)
    if initial is not None:
        result[:] = initial.to(dtype).reshape(result.shape)
    if monitor is not None:
        monitor.outside = np.zeros((rows, groups * outputs), bool)
    size = max(1, _BLOCK // (groups * outputs))
    for first in range(0, rows, size):
        here = slice(first, first + size)
        total = result[here]
        terms_k = np.empty_like(total)
        for k in range(terms):
            np.multiply(columns[k, here, :, np.newaxis], matrix[:, k], out=terms_k)
            step = terms_k
            if rounding is not None:
                bounded = BoundedInts(terms_k, one)
                step = requantized(bounded, rounding.format.frac_bits - products.frac_bits, rounding).array
            if shift:
                step = BoundedInts(step, term >> shift).aligned(shift, dtype)
            np.add(total, step.astype(dtype, copy=False), out=total)
            if wraps:
                continue
            if monitor is not None and monitor.outside is not None:
                monitor.outside[here] |= monitor.record(total, accumulator)
            np.copyto(total, fit(total, f, accumulator.overflow, total))
    if wraps:
        if monitor is not None:
            monitor.outside = monitor.record(result, accumulator)
        result = fit(result, f, Overflow.WRAP)
    return BoundedInts(result.reshape(rows, -1).astype(dtype_for(f.magnitude), copy=False), f.magnitude)
