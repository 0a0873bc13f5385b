# SPDX-License-Identifier: MIT
"""The matrix product of `FixedArray`: exact, or through a modelled accumulator."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numbers.fixed.operands import rows_and_columns
from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.accumulate import AccumulatorMonitor, Products, accumulated
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.matmul import product
from fixedpoint_nn.numerics.qformat import QFormat


def exact_product(a: BoundedInts, b: BoundedInts) -> BoundedInts:
    """a @ b with every bit of it; shapes as in `rows_and_columns`."""
    rows, columns, shape = rows_and_columns(a, b)
    result = product(rows, columns)
    return BoundedInts(result.array.reshape(shape), result.bound)


def accumulated_product(
    a: BoundedInts,
    b: BoundedInts,
    formats: tuple[QFormat, QFormat],
    accumulator: Accumulator,
    initial: BoundedInts | None,
) -> BoundedInts:
    """initial + a @ b in the accumulator's format, added in its order and counted by the open statistics.

    `formats` are those of a and b; `initial` has the accumulator's format and a shape that fits the result's.
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
