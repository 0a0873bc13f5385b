# SPDX-License-Identifier: MIT
"""Overflow statistics of every cast and accumulator, collected only within a `with` block.

with OverflowStats() as stats:
    fixed(x)
stats["fc1.out"].saturated
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from math import copysign, isfinite, prod
from types import TracebackType

import numpy as np

from fixedpoint_nn.numerics.accumulate import AccumulatorMonitor
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.conversion import ConversionStats
from fixedpoint_nn.numerics.overflow import Overflow, limits
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding, shift_right


@dataclass(frozen=True)
class OverflowCounts:
    """The counts of one cast point or accumulator, over all calls."""

    values: int = 0  # the number of values
    saturated: int = 0  # out of range, and saturated (or set to zero)
    wrapped: int = 0  # out of range, and wrapped
    rounded: int = 0  # inexact
    first: tuple[int, ...] | None = None  # the index of the first value out of range
    headroom_bits: int = 63  # unused leading bits; negative: missing bits


class OverflowStats(Mapping[str, OverflowCounts]):
    """A mapping from names to the `OverflowCounts` of every cast and accumulator that runs inside its `with` block.

    A cast without a name has its quantizer's text as its key. Without `count_rounded` that count stays 0, and
    collecting takes little time. `first_row` is added to the batch index in `first`, for a batch that is processed in
    blocks. An accumulator's headroom is that of its final sums and, after a saturation, of all sums.
    """

    def __init__(self, count_rounded: bool = True) -> None:
        self.count_rounded = count_rounded
        self.entries: dict[str, OverflowCounts] = {}
        self.first_row = 0
        self._before: OverflowStats | None = None

    def __enter__(self) -> OverflowStats:
        self._before, _thread.open = _thread.open, self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _thread.open = self._before

    def __getitem__(self, name: str) -> OverflowCounts:
        if name not in self.entries:
            known = ", ".join(self.entries) or "nothing"
            raise KeyError(f"nothing was cast at {name!r}; the statistics hold {known}")
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __str__(self) -> str:
        width = max([len(name) for name in self.entries], default=0)
        head = (
            f"{'':{width}}  {'values':>10} {'saturated':>10} {'wrapped':>10} {'rounded':>10}  headroom  first"
        )
        lines = [
            f"{name:{width}}  {e.values:>10} {e.saturated:>10} {e.wrapped:>10} {e.rounded:>10}"
            f"  {e.headroom_bits:>8}  {'-' if e.first is None else e.first}"
            for name, e in self.entries.items()
        ]
        return "\n".join([head, *lines])

    # ---- called by the numbers -----------------------------------------------------------------------------

    def record_cast(self, ints: BoundedInts, shift: int, quantizer: Quantizer) -> None:
        """Count a cast of integers times 2**shift by the quantizer."""
        array = ints.array
        if not array.size:
            return
        low, high = (_moved(int(end), shift, quantizer.rounding) for end in (array.min(), array.max()))
        lo, hi = limits(quantizer.format, quantizer.overflow)
        outside = None
        if low < lo or high > hi:
            floor, ceiling = representable_range(shift, quantizer)
            if low >= lo:
                outside = array > ceiling
            else:
                outside = array < floor if high <= hi else (array > ceiling) | (array < floor)
        count, first = self._count(quantizer, outside)
        self._add(quantizer, array.shape, count, first, self._rounded(ints, shift), (low, high))

    def _rounded(self, ints: BoundedInts, shift: int) -> int:
        if not self.count_rounded or shift >= 0:
            return 0
        array = ints.to_cached(np.dtype(np.int64))
        return int(np.count_nonzero(array & ((1 << -shift) - 1) if shift >= -63 else array))

    def record_floats(
        self, conversion: ConversionStats, shape: tuple[int, ...], quantizer: Quantizer
    ) -> None:
        """Count a conversion of floats of this shape by the quantizer."""
        ends = (conversion.low, conversion.high)
        extremes = tuple(int(end) if isfinite(end) else int(copysign(1, end)) << 1024 for end in ends)
        self._add(
            quantizer,
            shape,
            conversion.outside,
            conversion.first,
            conversion.rounded,
            (extremes[0], extremes[1]),
        )

    def record_sums(
        self, monitor: AccumulatorMonitor, shape: tuple[int, ...], accumulator: Accumulator
    ) -> None:
        """Count the sums of an accumulator; `shape` is the result's."""
        assert monitor.outside is not None
        count, first = self._count(accumulator, monitor.outside)
        self._add(accumulator, shape, count, first, 0, (monitor.lo, monitor.hi))

    def _count(self, point: Quantizer | Accumulator, outside: Array | None) -> tuple[int, int | None]:
        """(number outside the range, flat index of the first one if it is the first of all calls)."""
        count = 0 if outside is None else int(np.count_nonzero(outside))
        if outside is None or not count or self._entry(point).first is not None:
            return count, None
        return count, int(np.argmax(outside))

    def _entry(self, point: Quantizer | Accumulator) -> OverflowCounts:
        return self.entries.get(point.name or str(point), OverflowCounts())

    def _add(
        self,
        point: Quantizer | Accumulator,
        shape: tuple[int, ...],
        count: int,
        place: int | None,
        rounded: int,
        extremes: tuple[int, int],
    ) -> None:
        before, format = self._entry(point), point.format
        first = before.first
        if first is None and place is not None:
            first = tuple(int(i) for i in np.unravel_index(place, shape))
            first = (first[0] + self.first_row, *first[1:]) if first else first
        wraps = point.overflow is Overflow.WRAP
        self.entries[point.name or str(point)] = OverflowCounts(
            before.values + prod(shape),
            before.saturated + (0 if wraps else count),
            before.wrapped + (count if wraps else 0),
            before.rounded + rounded,
            first,
            min(before.headroom_bits, format.bits - _bits(*extremes, format.signed)),
        )


class OverflowTotals(OverflowStats):
    """Counts values and overflows only, without first index, headroom and rounding, as planned networks support."""

    def __init__(self) -> None:
        super().__init__(count_rounded=False)

    def record_total(self, quantizer: Quantizer, values: int, outside: int) -> None:
        """Count a cast of `values` values, of which `outside` did not fit."""
        before, wraps = self._entry(quantizer), quantizer.overflow is Overflow.WRAP
        self.entries[quantizer.name or str(quantizer)] = replace(
            before,
            values=before.values + values,
            saturated=before.saturated + (0 if wraps else outside),
            wrapped=before.wrapped + (outside if wraps else 0),
        )


@lru_cache(maxsize=4096)
def representable_range(shift: int, quantizer: Quantizer) -> tuple[int, int]:
    """The smallest and largest int64 whose value times 2**shift fits after rounding.

    Rounding is monotonic, so they are the limits, or next to a tie or the next integer.
    """
    lo, hi = limits(quantizer.format, quantizer.overflow)
    if shift >= 0:
        return -(-lo >> shift), hi >> shift
    drop, half = -shift, 1 << (-shift - 1)
    below = [((lo - 1) << drop) + 1, (lo << drop) - half, (lo << drop) - half + 1, lo << drop]
    above = [hi << drop, (hi << drop) + half - 1, (hi << drop) + half, ((hi + 1) << drop) - 1]

    def rounded(value: int) -> int:
        return int(shift_right(np.array([value]), drop, quantizer.rounding)[0])

    return (
        min(v for v in map(_as_int64, below) if rounded(v) >= lo),
        max(v for v in map(_as_int64, above) if rounded(v) <= hi),
    )


@lru_cache(maxsize=1 << 16)
def _moved(value: int, shift: int, rounding: Rounding) -> int:
    """An integer times 2**shift, rounded."""
    if shift >= 0:
        return value << shift
    return int(shift_right(np.array([value]), -shift, rounding)[0])


def _as_int64(value: int) -> int:
    return max(min(value, (1 << 63) - 1), -(1 << 63))


def _bits(lo: int, hi: int, signed: bool) -> int:
    """The bits of the smallest format that holds lo..hi, signed if lo is negative."""
    size = max((~lo).bit_length() if lo < 0 else 0, max(hi, 0).bit_length())
    return size + (signed or lo < 0)


class _ThreadState(threading.local):
    """The open statistics of each thread."""

    open: OverflowStats | None = None


_thread = _ThreadState()


def active() -> OverflowStats | None:
    """The open statistics of this thread, or None."""
    return _thread.open


@contextmanager
def none_open() -> Iterator[None]:
    """A context in which nothing is counted in this thread, for auxiliary computations."""
    before, _thread.open = _thread.open, None
    try:
        yield
    finally:
        _thread.open = before
