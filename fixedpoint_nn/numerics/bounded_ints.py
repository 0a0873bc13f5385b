# SPDX-License-Identifier: MIT
"""Arrays of integers in the cheapest dtype that holds every one of them exactly.

Floats represent integers exactly within their range, and only floats have fast matrix products, rounding and scaling.
The sufficient dtype follows from a bound on the magnitudes, which every array carries.
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

_GATHER = 32  # products in the time of one gathered element

FLOAT32, FLOAT64, INT64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
OBJECT = np.dtype(object)


def dtype_for(bound: int) -> np.dtype[Any]:
    """The cheapest of float32, float64, int64 and object (Python integers) for integers of this magnitude."""
    if bound <= FLOAT32_EXACT:
        return FLOAT32
    if bound <= FLOAT64_EXACT:
        return FLOAT64
    return INT64 if bound <= INT64_EXACT else OBJECT


def largest_magnitude(ints: Array) -> int:
    """The largest magnitude in an array of integers of any dtype."""
    return max(int(ints.max()), -int(ints.min())) if ints.size else 0


class BoundedInts:
    """An immutable array of integers in any dtype, none of magnitude above `bound`."""

    __slots__ = ("_columns", "_others", "_read_only", "array", "bound", "signed")

    def __init__(self, array: Array, bound: int, signed: bool = True) -> None:
        self.array = array
        self.bound = bound
        self.signed = signed  # may be negative
        self._columns: WeightStats | None = None
        self._others: dict[np.dtype[Any], Array] | None = None
        self._read_only: Ints | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickling without the caches."""
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
        """Whether every integer is in low..high; the elements are checked only if the bound does not decide."""
        if (low <= -self.bound or (low <= 0 and not self.signed)) and self.bound <= high:
            return True
        return bool(self.array.min() >= low and (self.bound <= high or self.array.max() <= high))

    def moved(self, move: Callable[[Array], Array]) -> BoundedInts:
        """`move`, a selection, reordering or reshaping, applied to the array; the bound stays."""
        return BoundedInts(np.asarray(move(self.array)), self.bound, self.signed)

    @classmethod
    def of(cls, ints: Array) -> BoundedInts:
        """A copy of these integers in their cheapest dtype."""
        bound = largest_magnitude(ints)
        return cls(ints.astype(dtype_for(bound)), bound)

    def to(self, dtype: np.dtype[Any]) -> Array:
        """The array converted to a wider dtype."""
        if self.array.dtype == dtype:
            return self.array
        # Floats are converted to Python integers by way of int64.
        return (self.array.astype(INT64) if dtype == OBJECT else self.array).astype(dtype)

    def converted(self, dtype: np.dtype[Any]) -> Array:
        """A copy in a wider dtype, of which nothing is cached."""
        return self.array.astype(dtype)

    def to_cached(self, dtype: np.dtype[Any]) -> Array:
        """`to` with a cache, for weights."""
        if self.array.dtype == dtype:
            return self.array
        if self._others is None:
            self._others = {}
        if dtype not in self._others:
            self._others[dtype] = self.to(dtype)
        return self._others[dtype]

    def ints(self) -> Ints:
        """The integers as a cached, read-only int64 array."""
        if self._read_only is None:
            # A view of NumPy can be made writable again if its base is; a read-only memoryview cannot.
            self._read_only = np.asarray(self.to_cached(INT64).data.toreadonly())
        ints: Ints = self._read_only.view()
        return ints

    def aligned(self, shift: int, dtype: np.dtype[Any]) -> Array:
        """The integers times 2**shift, in `dtype`, which must hold the result."""
        array = self.to(dtype)
        if shift == 0:
            return array
        shifted: Array = array << shift if dtype.kind in "iO" else array * dtype.type(2.0**shift)
        return shifted

    def addresses(self, bits: int) -> NDArray[np.intp]:
        """The low `bits` bits of each integer as an index; the integers have fewer than 32 bits.

        Floats convert to int32 six times faster than to int64. NumPy accepts negative indices too, but the
        unpredictable branch for them takes three times as long.
        """
        codes = self.array.astype(np.int32)
        codes &= (1 << bits) - 1
        return codes.astype(np.intp)

    def shifted(self, shift: int) -> BoundedInts:
        """The integers times 2**shift, exactly."""
        if shift == 0:
            return self
        bound = self.bound << shift
        return BoundedInts(np.asarray(self.aligned(shift, dtype_for(bound))), bound)

    @property
    def columns(self) -> WeightStats:
        """Cached statistics of these weights, for the choice of a kernel."""
        if self._columns is None:
            self._columns = WeightStats(self)
        return self._columns


class CompactInts(BoundedInts):
    """Integers of at most 16 bits, stored in `words` of one or two bytes; `array` is their float32."""

    __slots__ = ("_wide", "words")

    def __init__(self, words: Array, bound: int, signed: bool) -> None:
        self.words, self.bound, self.signed = words, bound, signed
        self._wide: Array | None = None
        self._columns = None
        self._others = None
        self._read_only = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickling of the words only."""
        return CompactInts, (self.words, self.bound, self.signed)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.words.shape

    @property
    def array(self) -> Array:  # type: ignore[override]
        """The integers in float32, converted on first use."""
        if self._wide is None:
            self._wide = self.words.astype(FLOAT32)
        return self._wide

    def within(self, low: int, high: int) -> bool:
        """Whether every integer is in low..high; the elements are checked only if the bound does not decide."""
        if (low <= -self.bound or (low <= 0 and not self.signed)) and self.bound <= high:
            return True
        return bool(self.words.min() >= low and self.words.max() <= high)

    def moved(self, move: Callable[[Array], Array]) -> BoundedInts:
        """`move` applied to the words."""
        return CompactInts(np.asarray(move(self.words)), self.bound, self.signed)

    def converted(self, dtype: np.dtype[Any]) -> Array:
        """A copy in a wider dtype, made from the words."""
        return self.words.astype(dtype)

    def to(self, dtype: np.dtype[Any]) -> Array:
        """The array in a wider container."""
        if dtype == FLOAT32:
            return self.array
        return (self.words.astype(INT64) if dtype == OBJECT else self.words).astype(dtype)


def words_for(bits: int, signed: bool) -> np.dtype[Any]:
    """The dtype of `CompactInts` for a format of at most 16 bits."""
    return np.dtype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")


class WeightStats:
    """Cached statistics of a weight matrix's columns (over the second-to-last axis)."""

    def __init__(self, weights: BoundedInts) -> None:
        # Words stay words: a network's weights in float32 would be four times as long.
        self._array = weights.words if isinstance(weights, CompactInts) else weights.array
        self._bound = weights.bound
        self.block_ends: dict[int, tuple[int, ...]] = {}  # ends of blocks, by the other operand's bound
        self.packed: dict[Any, Array] = {}  # packed columns, by packing
        self.scaled: dict[int, Array] = {}  # times a power of two, in float32
        self.native: dict[Any, Any] = {}  # packed for the compiled kernels, by their kind

    @cached_property
    def _magnitudes(self) -> Array:
        """Each column's sum of magnitudes."""
        array, axis = self._array, -2 if self._array.ndim > 1 else 0
        exact = dtype_for(self._bound * array.shape[axis])
        total: Array = np.abs(BoundedInts(array, self._bound).to(exact)).sum(axis=axis)
        return total

    @cached_property
    def norm(self) -> int:
        """The largest sum of magnitudes of a column: for |x| <= m, every sum of |x * column| is at most m * norm."""
        return int(self._magnitudes.max()) if self._array.size else 0

    @cached_property
    def sums(self) -> Ints:
        """Each column's sum; requires a `norm` within int64."""
        total: Ints = self._array.astype(INT64).sum(axis=-2 if self._array.ndim > 1 else 0)
        return total

    @cached_property
    def one_sided(self) -> int:
        """The largest sum of the positive or of the negative weights of a column; requires a `norm` within int64.

        For 0 <= x <= m, every partial sum of x * column, in any order, is at most m times it.
        """
        return int((self._magnitudes.astype(INT64) + np.abs(self.sums)).max()) // 2

    @cached_property
    def nonzero_columns(self) -> tuple[BoundedInts, NDArray[np.intp]] | None:
        """(matrix with at most one column of zeros, index in it of each original column).

        None if finding them would take longer than multiplying by zero.
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
        matrix = self._array[:, kept].astype(dtype_for(self._bound))
        return BoundedInts(matrix, self._bound), (np.cumsum(kept) - 1)[places]
