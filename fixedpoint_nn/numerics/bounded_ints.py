# SPDX-License-Identifier: MIT
"""Containers of integers: the cheapest kind of array that holds every one of them exactly.

Floats that hold integers are as exact as integers, and only floats have fast matrix products, rounding and
scaling. Which float is wide enough follows from a bound on the magnitudes, so every array carries one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.numerics.arrays import Array, Ints

FLOAT32_EXACT = 1 << 24  # float32 holds every integer up to here, inclusive,
FLOAT64_EXACT = 1 << 53  # float64 up to here,
INT64_EXACT = (1 << 63) - 1  # and int64 up to here

_GATHER = 32  # products in the time of finding one element

FLOAT32, FLOAT64, INT64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
OBJECT = np.dtype(object)


def dtype_for(bound: int) -> np.dtype[Any]:
    """The cheapest kind of array for integers of at most this magnitude; beyond int64, Python's own."""
    if bound <= FLOAT32_EXACT:
        return FLOAT32
    if bound <= FLOAT64_EXACT:
        return FLOAT64
    return INT64 if bound <= INT64_EXACT else OBJECT


def largest_magnitude(ints: Array) -> int:
    """The largest magnitude among integers in any kind of array."""
    return max(int(ints.max()), -int(ints.min())) if ints.size else 0


class BoundedInts:
    """An array of integers, in any container, none of which is larger than `bound`. Never written to."""

    __slots__ = ("_columns", "_others", "_read_only", "array", "bound", "signed")

    def __init__(self, array: Array, bound: int, signed: bool = True) -> None:
        self.array = array
        self.bound = bound
        self.signed = signed  # may be negative
        self._columns: WeightStats | None = None
        self._others: dict[np.dtype[Any], Array] | None = None
        self._read_only: Ints | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied, or sent to another process, without what it remembers."""
        return BoundedInts, (self.array, self.bound, self.signed)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def within(self, low: int, high: int) -> bool:
        """Is every integer in low..high? Asked of the numbers where the bound does not tell."""
        if (low <= -self.bound or (low <= 0 and not self.signed)) and self.bound <= high:
            return True
        return bool(self.array.min() >= low and (self.bound <= high or self.array.max() <= high))

    def moved(self, move: Callable[[Array], Array]) -> BoundedInts:
        """Some of these integers, or all of them in another order or shape: `move` applied to their container."""
        return BoundedInts(np.asarray(move(self.array)), self.bound, self.signed)

    @classmethod
    def of(cls, ints: Array) -> BoundedInts:
        """A copy of these integers in their cheapest container."""
        bound = largest_magnitude(ints)
        return cls(ints.astype(dtype_for(bound)), bound)

    def to(self, dtype: np.dtype[Any]) -> Array:
        """The array in a wider container."""
        if self.array.dtype == dtype:
            return self.array
        # A float becomes one of Python's own integers by way of an int64.
        return (self.array.astype(INT64) if dtype == OBJECT else self.array).astype(dtype)

    def to_cached(self, dtype: np.dtype[Any]) -> Array:
        """`to`, remembered: for weights, which are asked again and again."""
        if self.array.dtype == dtype:
            return self.array
        if self._others is None:
            self._others = {}
        if dtype not in self._others:
            self._others[dtype] = self.to(dtype)
        return self._others[dtype]

    def ints(self) -> Ints:
        """The integers as int64, remembered, in an array that nobody can make writable."""
        if self._read_only is None:
            # NumPy lets a view become writable again if its base is; a read-only memoryview never is.
            self._read_only = np.asarray(self.to_cached(INT64).data.toreadonly())
        ints: Ints = self._read_only.view()
        return ints

    def aligned(self, shift: int, dtype: np.dtype[Any]) -> Array:
        """The integers times 2**shift, in a container that holds the result."""
        array = self.to(dtype)
        if shift == 0:
            return array
        shifted: Array = array << shift if dtype.kind in "iO" else array * dtype.type(2.0**shift)
        return shifted

    def addresses(self, bits: int) -> NDArray[np.intp]:
        """The lowest bits of each integer, as an index; the integers are of fewer than 32 bits.

        Floats become int32 six times faster than int64. NumPy finds negative indices too, but asking which of
        them are negative, as no processor foresees, takes it three times as long.
        """
        codes = self.array.astype(np.int32)
        codes &= (1 << bits) - 1
        return codes.astype(np.intp)

    def shifted(self, shift: int) -> BoundedInts:
        """Times 2**shift, exactly."""
        if shift == 0:
            return self
        bound = self.bound << shift
        return BoundedInts(np.asarray(self.aligned(shift, dtype_for(bound))), bound)

    @property
    def columns(self) -> WeightStats:
        """Statistics of these weights, by which a kernel is chosen; computed once."""
        if self._columns is None:
            self._columns = WeightStats(self)
        return self._columns


class CompactInts(BoundedInts):
    """Integers of at most 16 bits, kept in `words` of one or two bytes; arithmetic sees them in float32."""

    __slots__ = ("_wide", "words")

    def __init__(self, words: Array, bound: int, signed: bool) -> None:
        self.words, self.bound, self.signed = words, bound, signed
        self._wide: Array | None = None
        self._columns = None
        self._others = None
        self._read_only = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied, or sent to another process, in its words."""
        return CompactInts, (self.words, self.bound, self.signed)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.words.shape

    @property
    def array(self) -> Array:  # type: ignore[override]
        """The integers in float32, made when they are first asked for."""
        if self._wide is None:
            self._wide = self.words.astype(FLOAT32)
        return self._wide

    def within(self, low: int, high: int) -> bool:
        """Is every integer in low..high? Asked of the numbers where the bound does not tell."""
        if (low <= -self.bound or (low <= 0 and not self.signed)) and self.bound <= high:
            return True
        return bool(self.words.min() >= low and self.words.max() <= high)

    def moved(self, move: Callable[[Array], Array]) -> BoundedInts:
        """Some of these integers, or all of them in another order or shape, in the same words."""
        return CompactInts(np.asarray(move(self.words)), self.bound, self.signed)

    def to(self, dtype: np.dtype[Any]) -> Array:
        """The array in a wider container."""
        if dtype == FLOAT32:
            return self.array
        return (self.words.astype(INT64) if dtype == OBJECT else self.words).astype(dtype)


def words_for(bits: int, signed: bool) -> np.dtype[Any]:
    """The words of `CompactInts` for formats of at most 16 bits."""
    return np.dtype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")


class WeightStats:
    """Statistics of a weight matrix's columns (sums over the second-to-last axis), each computed once."""

    def __init__(self, weights: BoundedInts) -> None:
        self._array, self._bound = weights.array, weights.bound
        self.block_ends: dict[int, tuple[int, ...]] = {}  # where kernels cut, by the other operand's bound
        self.packed: dict[Any, Array] = {}  # several columns in one, by how
        self.scaled: dict[int, Array] = {}  # times a power of two, in float32
        self.native: dict[Any, Any] = {}  # packed for the compiled kernels, by how

    @cached_property
    def _magnitudes(self) -> Array:
        """Each column's sum of magnitudes."""
        array, axis = self._array, -2 if self._array.ndim > 1 else 0
        worst = self._bound * array.shape[axis]
        exact = dtype_for(worst) if array.dtype.kind == "f" else OBJECT if worst > INT64_EXACT else INT64
        total: Array = np.abs(BoundedInts(array, self._bound).to(exact)).sum(axis=axis)
        return total

    @cached_property
    def norm(self) -> int:
        """The largest sum of magnitudes: |x| <= m makes every sum of |x * column| at most m * norm."""
        return int(self._magnitudes.max()) if self._array.size else 0

    @cached_property
    def sums(self) -> Ints:
        """Each column's sum; for a `norm` that fits int64."""
        total: Ints = self._array.astype(INT64).sum(axis=-2 if self._array.ndim > 1 else 0)
        return total

    @cached_property
    def one_sided(self) -> int:
        """The largest sum of positive or of negative weights: 0 <= x <= m keeps every sum within m times it.

        So it does for the sum of any of the terms, in any order; for a `norm` that fits int64.
        """
        return int((self._magnitudes.astype(INT64) + np.abs(self.sums)).max()) // 2

    @cached_property
    def nonzero_columns(self) -> tuple[BoundedInts, NDArray[np.intp]] | None:
        """The matrix with one column of zeros at most, and the index in it of each original column.

        None where finding them would take longer than multiplying by zero.
        """
        if self._array.ndim != 2:
            return None
        terms, outputs = self._array.shape
        zero = np.logical_not(np.asarray(self._array.any(axis=0)))
        if (int(np.count_nonzero(zero)) - 1) * terms < _GATHER * outputs:
            return None
        first = int(np.argmax(zero))
        kept = np.logical_not(zero)
        kept[first] = True
        places = np.where(zero, first, np.arange(outputs))
        return BoundedInts(self._array[:, kept], self._bound), (np.cumsum(kept) - 1)[places]
