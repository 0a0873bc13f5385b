# SPDX-License-Identifier: MIT
"""`FixedArray`: integers with a format. Every operation is exact except `cast`.

The class lists the verbs; longer parts are functions in other files: conversion.py (creation), operands.py
(broadcasting and alignment), dot.py (matrix products), windows.py (convolution), numpy_protocol.py (NumPy's
functions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedpoint_nn.numbers import sliding_windows
from fixedpoint_nn.numbers.fixed import conversion, numpy_protocol
from fixedpoint_nn.numbers.fixed.dot import accumulated_product, added_to_product, exact_product
from fixedpoint_nn.numbers.fixed.operands import aligned, broadcast, exact_integers, wider
from fixedpoint_nn.numbers.fixed.windows import WindowedInts
from fixedpoint_nn.numbers.image_windows import Geometry
from fixedpoint_nn.numbers.indices import checked_indices
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.arrays import Array, Ints, refuse_masked
from fixedpoint_nn.numerics.bounded_ints import BoundedInts, dtype_for
from fixedpoint_nn.numerics.deferred_product import DeferredProduct
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.numerics.requantize import looked_up, requantized

if TYPE_CHECKING:
    from fixedpoint_nn.numerics.accumulator import Accumulator
    from fixedpoint_nn.numerics.table import Table

Axis = int | tuple[int, ...] | None
_SMALL_BATCH = 2048  # rows, over all time steps

# Faster implementations of `scan`, tried in this order; each returns the results, or None if it does not apply.
FUSED_SCANS: list[Callable[..., tuple[Any, ...] | None]] = []


class FixedArray:
    """An immutable array of fixed-point numbers, each `ints * 2**-format.frac_bits`.

    Operators and verbs return the smallest format that holds every possible result; only `cast` loses bits. A result of
    more than 63 bits raises ValueError, a bare float as an operand TypeError.

    >>> x = FixedArray.from_float([0.5, -1.25], Quantizer(QFormat(4, 12)))
    >>> x * x
    FixedArray([0.25  , 1.5625], Q(8, 24))
    """

    __slots__ = ("_bounded", "_format")
    _bounded: BoundedInts
    _format: QFormat

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError(
            "a FixedArray is made by FixedArray.from_float(x, quantizer) or from_ints(ints, format)"
        )

    @classmethod
    def _of(cls, bounded: BoundedInts, format: QFormat) -> FixedArray:
        result = object.__new__(cls)
        result._bounded = bounded
        result._format = format
        return result

    def _like(self, array: Array) -> FixedArray:
        """A FixedArray of these integers with this array's bound and format."""
        bounded = self._bounded
        return self._of(BoundedInts(np.asarray(array), bounded.bound, bounded.signed), self._format)

    def _moved(self, move: Callable[[Array], Array]) -> FixedArray:
        """A FixedArray of a selection or reordering of this array's integers."""
        return self._of(self._bounded.moved(move), self._format)

    # ---- from and to ---------------------------------------------------------------------------------------

    @classmethod
    def from_float(cls, x: ArrayLike, quantizer: Quantizer | ChannelQuantizer) -> FixedArray:
        """The array of floats, each rounded by the quantizer; NaN and infinity raise ValueError."""
        return cls._of(conversion.from_float(x, quantizer), quantizer.format)

    @classmethod
    def from_ints(cls, ints: ArrayLike, format: QFormat) -> FixedArray:
        """The array of these integers in units of `format.step`; one outside the format raises ValueError."""
        return cls._of(conversion.from_ints(ints, format), format)

    @classmethod
    def from_fxp(cls, x: Any) -> FixedArray:
        """The array with the integers and format of an `fxpmath.Fxp`."""
        return cls._of(*conversion.from_fxp(x))

    def to_fxp(self) -> Any:
        """An `fxpmath.Fxp` with the same integers and format; needs the package fxpmath."""
        from fxpmath import objects

        f = self._format
        fxp: Any = objects.Fxp
        return fxp(self.ints, signed=f.signed, n_word=f.bits, n_frac=f.frac_bits, raw=True)

    def to_float(self) -> NDArray[np.float64]:
        """The values as float64; above 53 bits, the nearest doubles."""
        array = self._bounded.array.astype(np.float64)
        real: NDArray[np.float64] = np.asarray(np.ldexp(array + 0.0, -self._format.frac_bits))
        return real

    @property
    def ints(self) -> Ints:
        """The integers, int64, read-only."""
        return self._bounded.ints()

    @property
    def format(self) -> QFormat:
        """The format of the integers."""
        return self._format

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._bounded.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._bounded.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self._bounded.shape)

    def __len__(self) -> int:
        return self._bounded.shape[0]

    def __repr__(self) -> str:
        values = np.array2string(self.to_float(), separator=", ", prefix="FixedArray(", threshold=100)
        return f"FixedArray({values}, {self._format!r})"

    # ---- NumPy ---------------------------------------------------------------------------------------------

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a FixedArray is not turned into a NumPy array silently; take .ints or .to_float()")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return numpy_protocol.call_ufunc(self, ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        return numpy_protocol.call_function(FixedArray, function, args, kwargs)

    # ---- arithmetic ----------------------------------------------------------------------------------------

    def _operand(self, other: Any) -> Any:
        """`other` as a FixedArray: integers are exact, floats raise TypeError."""
        if isinstance(other, FixedArray):
            return other
        made = exact_integers(other)
        return NotImplemented if made is None else self._of(*made)

    def _sum(self, other: Any, rule: Callable[..., QFormat], function: Callable[..., Array]) -> Any:
        """The sum or difference of both operands, aligned, in the format of `rule`."""
        other = self._operand(other)
        if other is NotImplemented:
            return NotImplemented
        format = rule(self._format, other._format)
        left, right = format.frac_bits - self._format.frac_bits, format.frac_bits - other._format.frac_bits
        bound = (self._bounded.bound << left) + (other._bounded.bound << right)
        if function is np.add:
            waiting = added_to_product((self._bounded, left), (other._bounded, right), bound)
            if waiting is not None:
                return self._of(waiting, format)
        dtype = dtype_for(bound)
        array = broadcast(function, self._bounded.aligned(left, dtype), other._bounded.aligned(right, dtype))
        return self._of(BoundedInts(np.asarray(array), bound), format)

    def __add__(self, other: Any) -> Any:
        return self._sum(other, QFormat.for_sum, np.add)

    __radd__ = __add__

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
        a, b = self._bounded, other._bounded
        bound = a.bound * b.bound
        dtype = dtype_for(max(bound, a.bound, b.bound))
        return self._of(
            BoundedInts(np.asarray(broadcast(np.multiply, a.to(dtype), b.to(dtype))), bound), format
        )

    __rmul__ = __mul__

    def __neg__(self) -> FixedArray:
        negated = BoundedInts(np.asarray(-self._bounded.array), self._bounded.bound)
        return self._of(negated, QFormat.for_negation(self._format))

    def __pos__(self) -> FixedArray:
        return self

    def __abs__(self) -> FixedArray:
        result: FixedArray = self.maximum(-self)
        return result

    def scaled(self, power: int) -> FixedArray:
        """x * 2**power: the binary point moves, the integers stay."""
        f = self._format
        return self._of(self._bounded, QFormat(f.int_bits + power, f.frac_bits - power, f.signed))

    def __matmul__(self, other: Any) -> Any:
        other = self._operand(other)
        return NotImplemented if other is NotImplemented else self.dot(other)

    def dot(self, other: Any, accumulator: Accumulator | None = None, initial: Any = None) -> Any:
        """`initial + self @ other`, exact or through a modelled accumulator.

        Shapes are (..., k) @ (k, n) -> (..., n), or (..., groups, k) @ (groups, k, n) -> (..., groups * n).
        """
        other = self._operand(other)
        if other is NotImplemented:
            raise TypeError("a FixedArray is multiplied with a FixedArray, not with another kind of number")
        if accumulator is None:
            product = exact_product(self._bounded, other._bounded)
            total = self._of(product, QFormat.for_dot(self._format, other._format, self.shape[-1]))
            return total if initial is None else initial + total
        if initial is not None and initial._format != accumulator.format:
            raise ValueError(f"an accumulator of {accumulator.format} does not go on from {initial._format}")
        start = None if initial is None else initial._bounded
        formats = self._format, other._format
        product = accumulated_product(self._bounded, other._bounded, formats, accumulator, start)
        return self._of(product, accumulator.format)

    def matmul(self, other: Any) -> FixedArray:
        """The exact product of two batches of matrices, (..., m, k) @ (..., k, n)."""
        other = self._operand(other)
        if other is NotImplemented:
            raise TypeError("a FixedArray is multiplied with a FixedArray, not with another kind of number")
        if min(self.ndim, other.ndim) < 2 or self.shape[-1] != other.shape[-2] or self.shape[-1] == 0:
            raise ValueError(f"shapes {self.shape} and {other.shape} are no matrices that can be multiplied")
        format = QFormat.for_dot(self._format, other._format, self.shape[-1])
        a, b = self._bounded, other._bounded
        bound = a.bound * b.bound * self.shape[-1]
        dtype = dtype_for(max(bound, a.bound, b.bound))  # bounds every partial sum, so floats are exact
        return self._of(BoundedInts(broadcast(np.matmul, a.to(dtype), b.to(dtype)), bound), format)

    def cast(self, quantizer: Quantizer | ChannelQuantizer | None) -> FixedArray:
        """Convert to the quantizer's format, the only operation that loses bits; None returns the array unchanged."""
        if quantizer is None:
            return self
        if isinstance(quantizer, ChannelQuantizer):
            ints = quantizer.from_ints(self.ints, self._format.frac_bits)
            return self._of(BoundedInts.of(ints), quantizer.format)
        shift = quantizer.format.frac_bits - self._format.frac_bits
        stats = overflow_stats.active()
        if stats is not None:
            stats.record_cast(self._bounded, shift, quantizer)
        return self._of(requantized(self._bounded, shift, quantizer), quantizer.format)

    def __truediv__(self, other: Any) -> Any:
        raise TypeError("a FixedArray is not divided; use scaled(-n), or multiply by a quantised reciprocal")

    __rtruediv__ = __floordiv__ = __rfloordiv__ = __truediv__

    def __pow__(self, other: Any) -> Any:
        raise TypeError("a FixedArray has no powers; write x * x")

    # ---- comparisons ---------------------------------------------------------------------------------------

    def _compared(self, other: Any, function: Callable[..., Any]) -> Any:
        """An exact comparison of both values, in Python integers if 64 bits are too few."""
        other = self._operand(other)
        if other is NotImplemented:
            return NotImplemented
        point = max(self._format.frac_bits, other._format.frac_bits)
        left, right = point - self._format.frac_bits, point - other._format.frac_bits
        dtype = dtype_for(max(self._bounded.bound << left, other._bounded.bound << right))
        return broadcast(function, self._bounded.aligned(left, dtype), other._bounded.aligned(right, dtype))

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
        return bool(self._bounded.array.item())

    def __float__(self) -> float:
        return float(self.to_float().item())

    def __int__(self) -> int:
        shift = self._format.frac_bits
        whole, rest = divmod(self.ints.item() << max(-shift, 0), 1 << max(shift, 0))
        if rest:
            raise ValueError(f"{float(self)} is not a whole number; cast it first, which says how to round")
        return whole

    # ---- parts and shapes ----------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> FixedArray:
        if not isinstance(index, (int, slice)):
            refuse_masked(index)
        return self._moved(lambda array: array[index])

    def __iter__(self) -> Iterator[FixedArray]:
        return (self[i] for i in range(len(self)))

    @property
    def T(self) -> FixedArray:
        """The array with its axes reversed."""
        return self._moved(lambda array: array.T)

    def reshape(self, *shape: int) -> FixedArray:
        """The elements in another shape; one length may be -1."""
        if isinstance(self._bounded, WindowedInts) and (flat := self._bounded.reshaped(shape)) is not None:
            return self._of(flat, self._format)
        return self._moved(lambda array: array.reshape(*shape))

    def transpose(self, *axes: int) -> FixedArray:
        """The axes in another order."""
        return self._moved(lambda array: array.transpose(axes))

    def split(self, parts: int, axis: int = -1) -> tuple[FixedArray, ...]:
        """`parts` equal parts along one axis."""
        size, rest = divmod(self.shape[axis], parts)
        if rest:
            raise ValueError(f"{self.shape[axis]} elements do not split into {parts} equal parts")
        before = (slice(None),) * (axis % self.ndim)
        shares = [before + (slice(i * size, i * size + size),) for i in range(parts)]
        return tuple(self[share] for share in shares)

    def take(self, indices: Any, axis: int = 0) -> Any:
        """The rows at these indices, which are integers or a number with integral values.

        An index out of range raises.
        """
        if hasattr(indices, "taken_from"):
            return indices.taken_from(self, axis)
        if isinstance(indices, FixedArray):
            if indices.format.frac_bits != 0:
                raise ValueError(
                    f"indices are whole numbers, but {indices.format} has a fraction; cast them first"
                )
            indices = indices.ints
        places = checked_indices(indices, self.shape[axis])
        return self._moved(lambda array: array.take(places, axis))

    def windows(
        self,
        kernel: Pair,
        stride: Pair,
        padding: Padding,
        groups: int = 1,
        lowest: bool = False,
        dilation: Pair = (1, 1),
    ) -> FixedArray:
        """Every window of images (batch, height, width, channels): (batch, rows, columns, taps, channels).

        With groups it is (batch, rows, columns, groups, taps, channels / groups). Padding is 0, or if `lowest` the
        format's smallest value.
        """
        fill = self._format.int_min if lowest and any(sum(pad) for pad in padding) else 0
        if groups == 1 and dilation == (1, 1):
            return self._of(
                WindowedInts(self._bounded, Geometry(kernel, stride, padding), fill), self._format
            )
        bound = max(self._bounded.bound, -fill)
        images = wider(self._bounded, bound)
        array = sliding_windows.windows(images, kernel, stride, padding, groups, fill, dilation)
        return self._of(BoundedInts(array, bound), self._format)

    @classmethod
    def _joined(cls, parts: Sequence[Any], join: Callable[[list[Array]], Array]) -> FixedArray:
        """`join` of the parts' aligned integers, in the smallest format that holds all of them."""
        for part in parts:
            if not isinstance(part, FixedArray):
                raise TypeError(
                    f"a FixedArray is joined with FixedArrays only, not with {type(part).__name__}"
                )
        arrays, bound, format = aligned([(part._bounded, part._format) for part in parts])
        return cls._of(BoundedInts(np.asarray(join(arrays)), bound), format)

    def concat(self, others: Sequence[FixedArray], axis: int = -1) -> FixedArray:
        """This array and the others concatenated along an axis, in the smallest format that holds all of them."""
        return self._joined([self, *others], lambda arrays: np.concatenate(arrays, axis))

    def zeros(self, *shape: int, like: Quantizer | None = None) -> FixedArray:
        """Zeros of shape (batch, *shape), in the quantizer's format: an initial state."""
        format = self._format if like is None else like.format
        return self._of(BoundedInts(np.zeros((self.shape[0], *shape), np.float32), 0), format)

    # ---- selection and reduction ---------------------------------------------------------------------------

    def relu(self) -> FixedArray:
        """max(x, 0)."""
        if isinstance(self._bounded, DeferredProduct) and self._bounded.waiting:
            return self._of(self._bounded.relu(), self._format)
        array = self._bounded.array
        if array.dtype.kind != "f":
            return self._like(np.maximum(array, 0))
        # `clip` takes a third of the time of `maximum` with a scalar; no element exceeds the bound.
        return self._like(np.clip(array, 0, self._bounded.bound))

    def maximum(self, other: Any) -> Any:
        """The element-wise maximum, in the smallest format that holds both."""
        other = self._operand(other)
        if other is NotImplemented:
            raise TypeError("the maximum of a FixedArray is taken with a FixedArray or an integer")
        format = QFormat.for_maximum(self._format, other._format)
        (x, y), bound, _ = aligned([(self._bounded, self._format), (other._bounded, other._format)])
        return self._of(BoundedInts(np.asarray(broadcast(np.maximum, x, y)), bound), format)

    def minimum(self, other: Any) -> Any:
        """The element-wise minimum, in the smallest format that holds both."""
        other = self._operand(other)
        if other is NotImplemented:
            raise TypeError("the minimum of a FixedArray is taken with a FixedArray or an integer")
        format = QFormat.for_minimum(self._format, other._format)
        (x, y), bound, _ = aligned([(self._bounded, self._format), (other._bounded, other._format)])
        return self._of(BoundedInts(np.asarray(broadcast(np.minimum, x, y)), bound), format)

    def max(self, axis: Axis = None, keepdims: bool = False) -> FixedArray:
        """The maximum along the axes, or of all elements."""
        self._terms(axis)
        if isinstance(self._bounded, WindowedInts) and self._bounded.pools(axis, keepdims):
            return self._of(self._bounded.pooled(np.maximum, self._bounded.bound), self._format)
        return self._like(self._bounded.array.max(axis=axis, keepdims=keepdims))

    def min(self, axis: Axis = None, keepdims: bool = False) -> FixedArray:
        """The minimum along the axes, or of all elements."""
        self._terms(axis)
        return self._like(self._bounded.array.min(axis=axis, keepdims=keepdims))

    def argmax(self, axis: int = -1) -> FixedArray:
        """The index of the largest element along the axis; of equal ones, the first."""
        last = self._terms(axis) - 1
        places = np.asarray(self._bounded.array.argmax(axis=axis))
        return self._of(BoundedInts(places.astype(dtype_for(last)), last), QFormat.of_int(last))

    def sum(self, axis: Axis = None, keepdims: bool = False) -> FixedArray:
        """The exact sum along the axes, or of all elements; the format grows with the number of terms."""
        terms = self._terms(axis)
        bound = self._bounded.bound * terms
        format = QFormat.for_sum(self._format, terms=terms)
        if isinstance(self._bounded, WindowedInts) and self._bounded.pools(axis, keepdims):
            return self._of(self._bounded.pooled(np.add, bound), format)
        array = wider(self._bounded, bound).sum(axis=axis, keepdims=keepdims, dtype=dtype_for(bound))
        return self._of(BoundedInts(np.asarray(array), bound), format)

    def _terms(self, axis: Axis) -> int:
        """The number of elements per result."""
        axes = range(self.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        terms = 1
        for i in axes:
            if not -self.ndim <= i < self.ndim:
                raise np.exceptions.AxisError(i, self.ndim)
            terms *= self.shape[i]
        if terms == 0 or self.size == 0:
            raise ValueError(f"an array of shape {self.shape} has nothing to choose from or to add")
        return terms

    # ---- functions and time --------------------------------------------------------------------------------

    def lookup(self, function: str, table: Table | None = None) -> FixedArray:
        """The table's entry for each value; the array must have the table's input format."""
        if table is None:
            raise TypeError(
                f"a FixedArray takes {function!r} from a Table, and was given none; add one to the layer"
            )
        if table.function != function:
            raise ValueError(f"{function!r} was asked of a table of {table.function!r}")
        if table.input_format != self._format:
            raise ValueError(
                f"the table of {function!r} is addressed by {table.input_format}, not {self._format}; "
                "cast to it first"
            )
        found = looked_up(self._bounded, table.entries, self._format.bits)
        return self._of(found, table.output.format)

    def scan(
        self, step: Callable[..., Any], *states: Any, each: Callable[[Any], Any] | None = None
    ) -> tuple[Any, ...]:
        """Iterate y, *states = step(x_t, *states) over axis 1; returns (all y stacked along axis 1, *final states).

        With `each`, step is called with each(x_t).
        """
        if self.ndim < 2 or self.shape[1] == 0:
            raise ValueError(f"scan needs steps along axis 1, and an array of shape {self.shape} has none")
        for fused in FUSED_SCANS:
            results = fused(self, step, states, each)
            if results is not None:
                return results
        outputs = []
        at = self._steps(each)
        for t in range(self.shape[1]):
            now = at(t)
            output, *following = step(now, *states)
            states = tuple(following)
            outputs.append(output)
        return (outputs[0]._joined(outputs, lambda arrays: np.stack(arrays, axis=1)), *states)

    def _steps(self, each: Callable[[Any], Any] | None) -> Callable[[int], Any]:
        """The function of t that returns `step`'s input; for a small batch `each` is computed for all times at once.

        A large batch would exceed the cache, and open OverflowStats need the order of steps.
        """
        if each is None:
            return lambda t: self[:, t]
        if self.shape[0] * self.shape[1] > _SMALL_BATCH or overflow_stats.active() is not None:
            return lambda t: each(self[:, t])
        whole = each(self)
        if isinstance(whole, tuple):
            return lambda t: tuple(part[:, t] for part in whole)
        return lambda t: whole[:, t]
