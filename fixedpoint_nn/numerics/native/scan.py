# SPDX-License-Identifier: MIT
"""Data structures of loops over time in the compiled kernels (`fx_scan` of network.h): slots and operations."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array, Ints
from fixedpoint_nn.numerics.bounded_ints import FLOAT64
from fixedpoint_nn.numerics.mode_codes import code_of
from fixedpoint_nn.numerics.native.library import Epilogue, Kernels
from fixedpoint_nn.numerics.native.network import GROUP, SLACK, StepStruct, address, address_of, aligned_empty
from fixedpoint_nn.numerics.native.steps import INT16, NotCompiled, fill_product, zero_of
from fixedpoint_nn.numerics.overflow import limits
from fixedpoint_nn.numerics.quantizer import Quantizer

PRODUCT, REQUANTIZE, LOOKUP, MULTIPLY, COMBINE, LOAD, STORE = range(7)


class _Slot(ctypes.Structure):
    """The structure `Slot` of network.h."""

    _fields_ = [
        ("base", ctypes.c_void_p),
        *((n, ctypes.c_int64) for n in ("row_stride", "step_stride", "whole")),
    ]


class _Source(ctypes.Structure):
    """The structure `Source` of network.h."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("slot", "column", "width", "zero", "shift")),
        ("offset", ctypes.c_int64),
    ]


class _Operation(ctypes.Structure):
    """The structure `Operation` of network.h."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("kind", "out", "a", "b", "a_column", "b_column")),
        ("width", ctypes.c_int64),
        *((name, ctypes.c_double) for name in ("a_factor", "b_factor", "low", "high")),
        ("rounding", ctypes.c_int64),
        ("row", ctypes.c_void_p),
        ("mask", ctypes.c_int64),
        ("sources", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("source_count", "row_bytes", "bytes", "word_signed")),
        ("product", StepStruct),
    ]


@dataclass(frozen=True)
class Operand:
    """Columns of a slot from `column` on; slot -1 means none."""

    slot: int = -1
    column: int = 0


@dataclass(frozen=True)
class Factor:
    """An operand, 2**shift times integers from `low` to `high`, and its int64 weights (columns, outputs)."""

    operand: Operand
    low: int
    high: int
    weights: Ints
    shift: int = 0


FEW = 4  # up to a quarter of a factor's columns are repeated singly, more of them as a whole


def balanced(factor: Factor) -> Factor:
    """The factor with weights of at most 16 bits, if a power of two can be moved to the columns."""
    low, high, weights, shift = factor.low, factor.high, factor.weights, factor.shift
    while (
        np.abs(weights).max() >= INT16 and not (weights & 1).any() and 2 * low >= -INT16 and 2 * high < INT16
    ):
        low, high, weights, shift = 2 * low, 2 * high, weights >> 1, shift + 1
    return Factor(factor.operand, low, high, weights, shift)


def narrowed(factor: Factor) -> list[Factor]:
    """Factors with weights of at most 16 bits; columns with larger weights are repeated for the remainder."""
    top = INT16 - 1
    kept = np.clip(factor.weights, -top, top)
    rest = factor.weights - kept
    wide = np.flatnonzero(rest.any(axis=1))
    if rest.size and np.abs(rest).max() > top:
        raise NotCompiled("weights of more than 16 bits")
    parts = [replace(factor, weights=kept)]
    if len(wide) > len(kept) // FEW:
        return [*parts, replace(factor, weights=rest)]
    for column in wide:
        operand = Operand(factor.operand.slot, factor.operand.column + int(column))
        parts.append(replace(factor, operand=operand, weights=rest[column : column + 1]))
    return parts


@dataclass
class Operations:
    """The operations of one time step, in order, with the arrays they refer to; slots have elements of `dtype`."""

    kernels: Kernels
    dtype: np.dtype[Any]
    row_bytes: int = 0  # of the product with the most scratch memory
    _made: list[_Operation] = field(default_factory=list)
    _kept: list[Any] = field(default_factory=list)

    def products(
        self,
        factors: Sequence[Factor],
        size: int,
        bias: Ints,
        bound: int,
        cuts: Sequence[tuple[int, slice, Epilogue]],
    ) -> None:
        """Add a product: for each cut, slot = epilogue(sum of factor @ weights + bias), for the cut's columns.

        The factors are stored side by side, in `size` bytes each; no sum exceeds `bound`.
        """
        factors = [part for factor in factors for part in narrowed(balanced(factor))]
        start, at, sources = bias, 0, []
        for factor in factors:
            zero, width = zero_of(size, factor.low, factor.high), len(factor.weights)
            operand = factor.operand
            sources.append(_Source(operand.slot, operand.column, width, zero, factor.shift, at * size))
            start = start - zero * factor.weights.sum(axis=0)
            at += width
        matrix = np.concatenate([factor.weights for factor in factors])
        group = GROUP[0 if size == 1 else 1]
        row_bytes = -(-at // group) * 4
        self.row_bytes = max(self.row_bytes, row_bytes)
        packed = (_Source * len(sources))(*sources)
        self._kept.append(packed)
        for number, (out, columns, epilogue) in enumerate(cuts):
            operation = self._add(PRODUCT, out, Operand(), Operand(), columns.stop - columns.start)
            operation.row_bytes, operation.bytes = row_bytes, size
            if number == 0:  # the rows are packed for the others
                operation.sources, operation.source_count = address_of(packed), len(packed)
            step = StepStruct(0, 0, -1, 1)
            self._kept += fill_product(
                step, self.kernels, matrix[:, columns], size, [(0, at)], start[columns], epilogue, bound
            )
            step.positions = 1
            nowhere = self._kept_at(np.zeros(1, np.int32))
            setattr(step, "from", nowhere)
            step.to = nowhere
            operation.product = step

    def load(self, out: int, words: int, width: int, kind: np.dtype[Any]) -> None:
        """Add out = the slot `words` of integers of dtype `kind`."""
        operation = self._add(LOAD, out, Operand(words), Operand(), width)
        operation.bytes, operation.word_signed = kind.itemsize, int(kind.kind == "i")

    def store(self, words: int, a: Operand, width: int, kind: np.dtype[Any]) -> None:
        """Add the slot `words`, of integers of dtype `kind`, = a."""
        self._add(STORE, words, a, Operand(), width).bytes = kind.itemsize

    def requantize(
        self, out: int, a: Operand, width: int, shift: int, quantizer: Quantizer, fits: bool
    ) -> None:
        """Add out = a * 2**shift, rounded, and saturated unless it fits."""
        operation = self._add(REQUANTIZE, out, a, Operand(), width)
        operation.a_factor, operation.rounding = 2.0**shift, code_of(quantizer.rounding)
        operation.low, operation.high = (-inf, inf) if fits else limits(quantizer.format, quantizer.overflow)

    def lookup(self, out: int, a: Operand, width: int, table: Array, bits: int) -> None:
        """Add out = the table's entries at the low bits of a."""
        operation = self._add(LOOKUP, out, a, Operand(), width)
        operation.row, operation.mask = self._kept_at(table.astype(self.dtype)), (1 << bits) - 1

    def multiply(self, out: int, a: Operand, b: Operand, width: int) -> None:
        """Add out = a * b."""
        self._add(MULTIPLY, out, a, b, width)

    def combine(
        self, out: int, a: Operand, a_factor: int, b: Operand, b_factor: int, row: Array | None, width: int
    ) -> None:
        """Add out = a * a_factor + b * b_factor + row."""
        operation = self._add(COMBINE, out, a, b, width)
        operation.a_factor, operation.b_factor = a_factor, b_factor
        operation.row = None if row is None else self._kept_at(row.astype(self.dtype))

    def _add(self, kind: int, out: int, a: Operand, b: Operand, width: int) -> _Operation:
        operation = _Operation(kind, out, a.slot, b.slot, a.column, b.column, width)
        self._made.append(operation)
        return operation

    def _kept_at(self, array: Array) -> int:
        self._kept.append(array)
        return address(array)

    def array(self) -> ctypes.Array[_Operation]:
        """All operations as a C array."""
        return (_Operation * len(self._made))(*self._made)


@dataclass(frozen=True)
class SlotOf:
    """The array of a slot, with contiguous columns: (rows of a block, columns), or with `whole` of the batch.

    A `whole` array has the batch as its first axis; with three axes, the second is time.
    """

    array: Array
    whole: bool = False

    def described(self) -> _Slot:
        """`Slot` of network.h."""
        size = self.array.itemsize
        steps = self.array.strides[1] // size if self.array.ndim == 3 else 0
        return _Slot(address(self.array), self.array.strides[0] // size, steps, int(self.whole))


def scan(
    operations: Operations,
    compiled: ctypes.Array[_Operation],
    slots: Sequence[SlotOf],
    batch: int,
    block: int,
    steps: int,
) -> None:
    """Run the operations, step by step, for each block of rows."""
    scratch = aligned_empty(operations.row_bytes * block + SLACK, np.uint8)
    described = (_Slot * len(slots))(*(slot.described() for slot in slots))
    doubles = operations.dtype == FLOAT64
    operations.kernels.scan(doubles, compiled, len(compiled), described, batch, block, steps, scratch)
