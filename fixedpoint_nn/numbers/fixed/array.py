# SPDX-License-Identifier: MIT
"""`FixedArray`: integers and the format that says what they are worth. Everything is exact but `cast`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fixedpoint_nn.numbers.fixed.numpy_protocol import FixedNumPy
from fixedpoint_nn.numbers.fixed.windows import WindowedInts
from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.accumulate import AccumulatorMonitor, Products, accumulated
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import BoundedInts, dtype_for
from fixedpoint_nn.numerics.conversion import checked_array
from fixedpoint_nn.numerics.deferred_product import DeferredProduct
from fixedpoint_nn.numerics.matmul import deferred_product, product
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.numerics.requantize import requantized

if TYPE_CHECKING:
    from fixedpoint_nn.numerics.accumulator import Accumulator


class FixedArray(FixedNumPy):
    """An immutable array of fixed-point numbers, each `ints * 2**-format.frac_bits`.

    >>> x = FixedArray.from_float([0.5, -1.25], Quantizer(QFormat(4, 12)))
    >>> x * x
    FixedArray([0.25  , 1.5625], Q(8, 24))
    """

    __slots__ = ()

    # ---- arithmetic ----------------------------------------------------------------------------------------

    def _operand(self, other: Any) -> Any:
        """`other` as a FixedArray: integers are exact, floats are refused."""
        if isinstance(other, FixedArray):
            return other
        if isinstance(other, (bool, float, complex, list, tuple)) or (
            isinstance(other, (np.generic, np.ndarray)) and other.dtype.kind not in "iu"
        ):
            what = f"{other!r}" if np.ndim(other) == 0 else f"an array of {np.asarray(other).dtype}"
            raise TypeError(
                f"a FixedArray is not mixed with {what}; "
                "make it one first: FixedArray.from_float(..., quantizer)"
            )
        if isinstance(other, (int, np.integer)):
            value = int(other)
            return self._of(BoundedInts.of(np.asarray(value)), QFormat.of_int(value))
        if isinstance(other, np.ndarray):
            ints = checked_array(other)
            lo, hi = min(int(ints.min()), 0), max(int(ints.max()), 0)
            return self._of(BoundedInts.of(ints), QFormat.enclosing(lo, hi, 0, signed=lo < 0))
        return NotImplemented

    def _sum(self, other: Any, rule: Callable[..., QFormat], function: Callable[..., Array]) -> Any:
        """`function` of both, aligned: for sums, differences and comparisons of the two."""
        other = self._operand(other)
        if other is NotImplemented:
            return NotImplemented
        format = rule(self._format, other._format)
        left, right = format.frac_bits - self._format.frac_bits, format.frac_bits - other._format.frac_bits
        bound = (self._held.bound << left) + (other._held.bound << right)
        if function is np.add:
            for waiting, shift, addend, moved in (
                (self._held, left, other._held, right),
                (other._held, right, self._held, left),
            ):
                if isinstance(waiting, DeferredProduct) and shift == 0 and waiting.can_add(addend, bound):
                    return self._of(waiting.plus(addend.shifted(moved), bound), format)
        dtype = dtype_for(bound)
        array = _together(function, self._held.aligned(left, dtype), other._held.aligned(right, dtype))
        return self._of(BoundedInts(np.asarray(array), bound), format)

    def __add__(self, other: Any) -> Any:
        return self._sum(other, QFormat.for_sum, np.add)

    def __radd__(self, other: Any) -> Any:
        return self._sum(other, QFormat.for_sum, np.add)

    def __sub__(self, other: Any) -> Any:
        return self._sum(other, QFormat.for_difference, np.subtract)

    def __rsub__(self, other: Any) -> Any:
        other = self._operand(other)
        return NotImplemented if other is NotImplemented else other - self

    def __mul__(self, other: Any) -> Any:
        other = self._operand(other)
        if other is NotImplemented:
            return NotImplemented
        format = QFormat.for_product(self._format, other._format)
        bound = self._held.bound * other._held.bound
        dtype = dtype_for(max(bound, self._held.bound, other._held.bound))
        array = _together(np.multiply, self._held.to(dtype), other._held.to(dtype))
        return self._of(BoundedInts(np.asarray(array), bound), format)

    __rmul__ = __mul__

    def __neg__(self) -> FixedArray:
        return self._of(
            BoundedInts(np.asarray(-self._held.array), self._held.bound), QFormat.for_negation(self._format)
        )

    def __pos__(self) -> FixedArray:
        return self

    def __abs__(self) -> FixedArray:
        result: FixedArray = self.maximum(-self)
        return result

    def maximum(self, other: Any) -> Any:
        """The larger one, element by element."""
        other = self._operand(other)
        if other is NotImplemented:
            raise TypeError("the maximum of a FixedArray is taken with a FixedArray or an integer")
        format = QFormat.for_maximum(self._format, other._format)
        arrays, bound, _ = self._aligned([self, other])
        return self._of(BoundedInts(np.asarray(_together(np.maximum, *arrays)), bound), format)

    def _compared(self, other: Any, function: Callable[..., Any]) -> Any:
        """`function` of both, aligned exactly, in Python's integers if need be."""
        other = self._operand(other)
        if other is NotImplemented:
            return NotImplemented
        point = max(self._format.frac_bits, other._format.frac_bits)
        left, right = point - self._format.frac_bits, point - other._format.frac_bits
        dtype = dtype_for(max(self._held.bound << left, other._held.bound << right))
        return _together(function, self._held.aligned(left, dtype), other._held.aligned(right, dtype))

    def __eq__(self, other: Any) -> Any:
        return self._compared(other, np.equal)

    def __ne__(self, other: Any) -> Any:
        return self._compared(other, np.not_equal)

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, np.less)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, np.less_equal)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, np.greater)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, np.greater_equal)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"an array of shape {self.shape} has no truth of its own; compare, then use .all()"
            )
        return bool(self._held.array.item())

    def __float__(self) -> float:
        return float(self.to_float().item())

    def __int__(self) -> int:
        shift = self._format.frac_bits
        whole, rest = divmod(self.ints.item() << max(-shift, 0), 1 << max(shift, 0))
        if rest:
            raise ValueError(f"{float(self)} is not a whole number; cast it first, which says how to round")
        return whole

    def __truediv__(self, other: Any) -> Any:
        raise TypeError("a FixedArray is not divided; use scaled(-n), or multiply by a quantised reciprocal")

    __rtruediv__ = __floordiv__ = __rfloordiv__ = __truediv__

    def __pow__(self, other: Any) -> Any:
        raise TypeError("a FixedArray has no powers; write x * x")

    def scaled(self, power: int) -> FixedArray:
        """Times 2**power: the binary point moves, the integers stay."""
        f = self._format
        return self._of(self._held, QFormat(f.int_bits + power, f.frac_bits - power, f.signed))

    def __matmul__(self, other: Any) -> Any:
        if not isinstance(other, FixedArray):
            other = self._operand(other)
        return NotImplemented if other is NotImplemented else self.dot(other)

    def dot(self, other: Any, accumulator: Accumulator | None = None, initial: Any = None) -> Any:
        """`initial + self @ other`, exact or through a modelled accumulator.

        The last axis meets the second-to-last of `other`; an `other` of (groups, taps, outputs) meets
        (..., groups, taps) and gives (..., groups * outputs).
        """
        other = self._operand(other)
        if other is NotImplemented:
            raise TypeError("a FixedArray is multiplied with a FixedArray, not with another kind of number")
        if accumulator is None:
            result = _dot(self._held, other._held)
            total = self._of(result, QFormat.for_dot(self._format, other._format, self.shape[-1]))
            return total if initial is None else initial + total
        rows, weights, shape = _rows_and_columns(self._held, other._held)
        start = None
        if initial is not None:
            if initial._format != accumulator.format:
                raise ValueError(
                    f"an accumulator of {accumulator.format} does not go on from {initial._format}"
                )
            array = np.broadcast_to(initial._held.array, shape).reshape(len(rows.array), -1)
            start = BoundedInts(array, initial._held.bound)
        seeing = overflow_stats.active()
        watch = None if seeing is None else AccumulatorMonitor()
        products = Products.of(self._format, other._format)
        sums = accumulated(rows, weights, products, accumulator, start, watch)
        if seeing is not None and watch is not None:
            seeing.see_sums(watch, shape, accumulator)
        return self._of(BoundedInts(sums.array.reshape(shape), sums.bound), accumulator.format)

    def cast(self, quantizer: Quantizer | ChannelQuantizer | None) -> FixedArray:
        """Into another format: the only operation that loses bits."""
        if quantizer is None:
            return self
        if isinstance(quantizer, ChannelQuantizer):
            return self._of(
                BoundedInts.of(quantizer.from_ints(self.ints, self._format.frac_bits)), quantizer.format
            )
        shift = quantizer.format.frac_bits - self._format.frac_bits
        seeing = overflow_stats.active()
        if seeing is not None:
            seeing.see_cast(self._held, shift, quantizer)
        return self._of(requantized(self._held, shift, quantizer), quantizer.format)


def _dot(a: BoundedInts, b: BoundedInts) -> BoundedInts:
    """The exact product, deferred where what follows can be computed with it."""
    if isinstance(a, WindowedInts) and b.ndim == 2 and a.shape[-1] == b.shape[0]:
        rows = a.rows()
        if rows is not None:
            waiting = deferred_product(a, b, (*a.shape[:-1], b.shape[1]), rows)
            if waiting is not None:
                return waiting
    matrix, weights, shape = _rows_and_columns(a, b)
    deferred = deferred_product(matrix, weights, shape)
    if deferred is not None:
        return deferred
    result = product(matrix, weights)
    return BoundedInts(result.array.reshape(shape), result.bound)


def _rows_and_columns(a: BoundedInts, b: BoundedInts) -> tuple[BoundedInts, BoundedInts, tuple[int, ...]]:
    """(rows, k) and (k, n), or (rows, groups, k) and (groups, k, n), for the kernels; the result's shape."""
    x, w = a.array, b.array
    shapes = f"shapes {x.shape} and {w.shape} have no product"
    if x.ndim == 0 or w.ndim == 0:
        raise ValueError(f"{shapes}: both need an axis")
    if w.ndim > 3:
        raise ValueError(f"{shapes}: weights have at most 3 axes, (groups, taps, outputs)")
    columns = w.shape[:-1] if w.ndim > 1 else w.shape
    before = x.shape[: max(x.ndim - len(columns), 0)]
    if x.shape[len(before) :] != columns:
        raise ValueError(f"{shapes}: rows of {x.shape[len(before) :]} values meet columns of {columns}")
    if x.size == 0 or w.size == 0:
        raise ValueError(f"{shapes}: there is nothing to add")
    rows = a if x.ndim == len(columns) + 1 else BoundedInts(x.reshape(-1, *columns), a.bound)
    if w.ndim == 1:
        return rows, BoundedInts(w[:, np.newaxis], b.bound), before
    groups = w.shape[0] if w.ndim == 3 else 1
    return rows, b, (*before, groups * w.shape[-1])


def _together(function: Callable[..., Any], x: Array, y: Array) -> Any:
    """`function` of both, broadcast."""
    try:
        return function(x, y)
    except ValueError:
        raise ValueError(f"shapes {x.shape} and {y.shape} do not fit together") from None
