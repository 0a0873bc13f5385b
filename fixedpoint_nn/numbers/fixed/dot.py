# SPDX-License-Identifier: MIT
"""Matrix products of `FixedArray`s: exact, or through a modelled accumulator."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numbers.fixed.operands import rows_and_columns
from fixedpoint_nn.numbers.fixed.windows import WindowedInts
from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.accumulate import AccumulatorMonitor, Products, accumulated
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.deferred_product import DeferredProduct
from fixedpoint_nn.numerics.matmul import deferred_product, product
from fixedpoint_nn.numerics.qformat import QFormat


def exact_product(a: BoundedInts, b: BoundedInts) -> BoundedInts:
    """a @ b, exact; lazy if it can be fused with what follows. For shapes see `rows_and_columns`."""
    if isinstance(a, WindowedInts) and b.ndim == 2 and a.shape[-1] == b.shape[0]:
        windows = a.rows()
        if windows is not None:
            convolution = deferred_product(a, b, (*a.shape[:-1], b.shape[1]), windows)
            if convolution is not None:
                return convolution
    rows, columns, shape = rows_and_columns(a, b)
    deferred = deferred_product(rows, columns, shape)
    if deferred is not None:
        return deferred
    result = product(rows, columns)
    return BoundedInts(result.array.reshape(shape), result.bound)


def added_to_product(
    a: tuple[BoundedInts, int], b: tuple[BoundedInts, int], bound: int
) -> BoundedInts | None:
    """a + b as a lazy product, if one of them is lazy and takes the other as an addend; each is (ints, shift)."""
    for (waiting, shift), (addend, moved) in ((a, b), (b, a)):
        if isinstance(waiting, DeferredProduct) and shift == 0 and waiting.can_add(addend, bound):
            return waiting.plus(addend.shifted(moved), bound)
    return None


def accumulated_product(
    a: BoundedInts,
    b: BoundedInts,
    formats: tuple[QFormat, QFormat],
    accumulator: Accumulator,
    initial: BoundedInts | None,
) -> BoundedInts:
    """initial + a @ b through the accumulator, counted by open statistics.

    `formats` are those of a and b; `initial` has the accumulator's format and a shape that broadcasts to the result's.
    """
    rows, columns, shape = rows_and_columns(a, b)
    start = None
    if initial is not None:
        array = np.broadcast_to(initial.array, shape).reshape(len(rows.array), -1)
        start = BoundedInts(array, initial.bound)
    stats = overflow_stats.active()
    monitor = None if stats is None else AccumulatorMonitor()
    result = accumulated(rows, columns, Products.of(*formats), accumulator, start, monitor)
    if stats is not None and monitor is not None:
        stats.record_sums(monitor, shape, accumulator)
    return BoundedInts(result.array.reshape(shape), result.bound)
