# SPDX-License-Identifier: MIT
"""The verbs of `FixedArray` that move, choose and add elements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fixedpoint_nn.numbers import sliding_windows
from fixedpoint_nn.numbers.fixed.storage import FixedValues
from fixedpoint_nn.numbers.indices import checked_indices
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
from fixedpoint_nn.numerics.arrays import Array, refuse_masked
from fixedpoint_nn.numerics.bounded_ints import BoundedInts, dtype_for
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

if TYPE_CHECKING:
    from fixedpoint_nn.numerics.table import Table

F = TypeVar("F", bound="FixedMovement")
Axis = int | tuple[int, ...] | None


class FixedMovement(FixedValues):
    """Nothing here loses a bit."""

    __slots__ = ()

    # ---- parts and shapes ----------------------------------------------------------------------------------

    def __getitem__(self: F, index: Any) -> F:
        if not isinstance(index, (int, slice)):
            refuse_masked(index)
        return self._like(self._held.array[index])

    def __iter__(self: F) -> Iterator[F]:
        return (self._like(part) for part in self._held.array)

    @property
    def T(self: F) -> F:
        return self._like(self._held.array.T)

    def reshape(self: F, *shape: int) -> F:
        return self._like(self._held.array.reshape(*shape))

    def split(self: F, parts: int, axis: int = -1) -> tuple[F, ...]:
        """Equal parts, side by side along one axis."""
        size, rest = divmod(self.shape[axis], parts)
        if rest:
            raise ValueError(f"{self.shape[axis]} elements do not split into {parts} equal parts")
        before = (slice(None),) * (axis % self.ndim)
        array = self._held.array
        shares = [before + (slice(i * size, i * size + size),) for i in range(parts)]
        return tuple(self._like(array[share]) for share in shares)

    def take(self, indices: Any, axis: int = 0) -> Any:
        """The rows that the indices name: integers, or any number that holds integers."""
        if hasattr(indices, "taken_from"):
            return indices.taken_from(self, axis)
        if isinstance(indices, FixedValues):
            if indices.format.frac_bits != 0:
                raise ValueError(
                    f"indices are whole numbers, but {indices.format} has a fraction; cast them first"
                )
            indices = indices.ints
        ids = checked_indices(indices, self.shape[axis])
        return self._like(self._held.array.take(ids, axis))

    def windows(
        self: F, kernel: Pair, stride: Pair, padding: Padding, groups: int = 1, lowest: bool = False
    ) -> F:
        """Every window of (batch, height, width, channels), padded with zeros or the lowest value."""
        fill = self._format.int_min if lowest and any(sum(pad) for pad in padding) else 0
        bound = max(self._held.bound, -fill)
        array = sliding_windows.windows(
            self._held.to(_wider(self._held.array, bound)), kernel, stride, padding, groups, fill
        )
        return self._of(BoundedInts(array, bound), self._format)

    # ---- joining -------------------------------------------------------------------------------------------

    @classmethod
    def _aligned(cls: type[F], parts: Sequence[Any]) -> tuple[list[Array], int, QFormat]:
        """The parts' integers, in one container with one binary point; their bound; their common format."""
        for part in parts:
            if not isinstance(part, cls):
                raise TypeError(
                    f"a FixedArray is joined with FixedArrays only, not with {type(part).__name__}"
                )
        format = QFormat.for_any([part._format for part in parts])
        shifts = [format.frac_bits - part._format.frac_bits for part in parts]
        bound = max(part._held.bound << shift for part, shift in zip(parts, shifts, strict=True))
        dtype = dtype_for(bound)
        arrays = [part._held.aligned(shift, dtype) for part, shift in zip(parts, shifts, strict=True)]
        return arrays, bound, format

    @classmethod
    def _joined(cls: type[F], parts: Sequence[Any], join: Callable[[list[Array]], Array]) -> F:
        arrays, bound, format = cls._aligned(parts)
        return cls._of(BoundedInts(np.asarray(join(arrays)), bound), format)

    def concat(self: F, others: Sequence[F], axis: int = -1) -> F:
        """This one and the others, one after the other, in a format that holds all of them."""
        return self._joined([self, *others], lambda arrays: np.concatenate(arrays, axis))

    # ---- choosing and adding -------------------------------------------------------------------------------

    def relu(self: F) -> F:
        """max(x, 0)."""
        array = self._held.array
        if array.dtype.kind != "f":
            return self._like(np.maximum(array, 0))
        # `clip` takes a third of the time of `maximum` with a scalar; nothing is above the bound.
        return self._like(np.clip(array, 0, self._held.bound))

    def max(self: F, axis: Axis = None, keepdims: bool = False) -> F:
        self._terms(axis)
        return self._like(self._held.array.max(axis=axis, keepdims=keepdims))

    def min(self: F, axis: Axis = None, keepdims: bool = False) -> F:
        self._terms(axis)
        return self._like(self._held.array.min(axis=axis, keepdims=keepdims))

    def argmax(self: F, axis: int = -1) -> F:
        """The place of the largest value; the first one if several are largest."""
        last = self._terms(axis) - 1
        places = np.asarray(self._held.array.argmax(axis=axis))
        return self._of(BoundedInts(places.astype(dtype_for(last)), last), QFormat.of_int(last))

    def sum(self: F, axis: Axis = None, keepdims: bool = False) -> F:
        """The exact sum; the format grows by the bits of the number of terms."""
        terms = self._terms(axis)
        bound = self._held.bound * terms
        dtype = dtype_for(bound)
        array = self._held.to(_wider(self._held.array, bound)).sum(axis=axis, keepdims=keepdims, dtype=dtype)
        return self._of(BoundedInts(np.asarray(array), bound), QFormat.for_sum(self._format, terms=terms))

    def _terms(self, axis: Axis) -> int:
        """How many elements one result is made of."""
        axes = range(self.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        terms = 1
        for i in axes:
            terms *= self.shape[i]
        if terms == 0 or self.size == 0:
            raise ValueError(f"an array of shape {self.shape} has nothing to choose from or to add")
        return terms

    # ---- functions and time --------------------------------------------------------------------------------

    def lookup(self: F, function: str, table: Table | None = None) -> F:
        """The table's entry for each value, which has the table's input format."""
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
        held = table.held
        addresses = self._held.addresses(self._format.bits)
        return self._of(BoundedInts(held.array.take(addresses), held.bound), table.output.format)

    def scan(
        self, step: Callable[..., Any], *states: Any, each: Callable[[Any], Any] | None = None
    ) -> tuple[Any, ...]:
        """y, *states = step(x_t, *states) over axis 1; gives every y, stacked on axis 1, and the last states.

        With `each`, step gets each(x_t).
        """
        if self.ndim < 2 or self.shape[1] == 0:
            raise ValueError(f"scan needs steps along axis 1, and an array of shape {self.shape} has none")
        outputs = []
        for t in range(self.shape[1]):
            now = self[:, t] if each is None else each(self[:, t])
            output, *following = step(now, *states)
            states = tuple(following)
            outputs.append(output)
        return (outputs[0]._joined(outputs, lambda arrays: np.stack(arrays, axis=1)), *states)

    def zeros(self: F, *shape: int, like: Quantizer | None = None) -> F:
        """Zeros of shape (batch, *shape): a first state, in the quantizer's format."""
        format = self._format if like is None else like.format
        return self._of(BoundedInts(np.zeros((self.shape[0], *shape), np.float32), 0), format)


def _wider(array: Array, bound: int) -> np.dtype[Any]:
    """The array's container, or a wider one if the bound needs it."""
    dtype: np.dtype[Any] = (
        np.promote_types(array.dtype, dtype_for(bound)) if array.dtype.kind == "f" else array.dtype
    )
    return dtype
