# SPDX-License-Identifier: MIT
"""Loops over time in the compiled kernels: slots, operations on them, and the call (`fx_scan` of kernels.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native.library import (
    Epilogue,
    Kernels,
    Source,
    described_product,
    described_requantize,
    product_structure,
    requantize_structure,
)
from fixedpoint_nn.numerics.native.operands import Operands
from fixedpoint_nn.numerics.quantizer import Quantizer

PRODUCT, REQUANTIZE, LOOKUP, MULTIPLY, COMBINE = range(5)


class _Slot(ctypes.Structure):
    """`Slot` of kernels.c."""

    _fields_ = [
        ("base", ctypes.c_void_p),
        *((n, ctypes.c_int64) for n in ("row_stride", "step_stride", "whole")),
    ]


class _Operation(ctypes.Structure):
    """`Operation` of kernels.c."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("kind", "out", "a", "b", "a_column", "b_column")),
        ("width", ctypes.c_int64),
        ("a_factor", ctypes.c_float),
        ("b_factor", ctypes.c_float),
        ("row", ctypes.c_void_p),
        ("mask", ctypes.c_int64),
        ("packed", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("product", product_structure),
        ("requantize", requantize_structure),
    ]


@dataclass(frozen=True)
class Operand:
    """Columns of a slot from `column` on; slot -1 is none."""

    slot: int = -1
    column: int = 0


@dataclass
class Operations:
    """The operations of one step, in order, with the arrays that they point to."""

    kernels: Kernels
    taps: tuple[int, int] = (1, 8)  # and bits, of the product that needs the most scratch
    _made: list[_Operation] = field(default_factory=list)
    _kept: list[Array] = field(default_factory=list)

    def product(
        self, out: int, a: Operand, weights: Operands, taps: int, bias: Array, addend: int, epilogue: Epilogue
    ) -> None:
        """out = epilogue(a @ weights + bias + addend), where out and addend have no gaps; bias is int32."""
        row = Source(np.empty((1, taps), np.float32), 1, taps)
        operation = self._add(PRODUCT, out, a, Operand(addend), weights.columns)
        operation.product = described_product(row, weights.columns, weights.bits, weights.offset, epilogue)
        operation.packed, operation.bias = self._kept_at(weights.packed), self._kept_at(bias)
        self.taps = max(self.taps, (taps, weights.bits), key=lambda pair: pair[0] * pair[1])

    def requantize(
        self, out: int, a: Operand, width: int, shift: int, quantizer: Quantizer, fits: bool
    ) -> None:
        """out = a times 2**shift, rounded, and saturated unless it fits."""
        operation = self._add(REQUANTIZE, out, a, Operand(), width)
        operation.requantize = described_requantize((1, width), width, shift, quantizer, fits)

    def lookup(self, out: int, a: Operand, width: int, table: Array, bits: int) -> None:
        """out = the table's entries for the lowest bits of a."""
        operation = self._add(LOOKUP, out, a, Operand(), width)
        operation.row, operation.mask = self._kept_at(table), (1 << bits) - 1

    def multiply(self, out: int, a: Operand, b: Operand, width: int) -> None:
        """out = a * b."""
        self._add(MULTIPLY, out, a, b, width)

    def combine(
        self, out: int, a: Operand, a_factor: int, b: Operand, b_factor: int, row: Array | None, width: int
    ) -> None:
        """out = a * a_factor + b * b_factor + row."""
        operation = self._add(COMBINE, out, a, b, width)
        operation.a_factor, operation.b_factor = a_factor, b_factor
        operation.row = None if row is None else self._kept_at(row)

    def _add(self, kind: int, out: int, a: Operand, b: Operand, width: int) -> _Operation:
        operation = _Operation(kind, out, a.slot, b.slot, a.column, b.column, width)
        self._made.append(operation)
        return operation

    def _kept_at(self, array: Array) -> int:
        self._kept.append(array)
        return int(array.__array_interface__["data"][0])

    def array(self) -> ctypes.Array[_Operation]:
        """All of them, as C wants them."""
        return (_Operation * len(self._made))(*self._made)


@dataclass(frozen=True)
class SlotOf:
    """A slot's array: float32, its columns without gaps; (rows of a block, columns), or the whole batch's.

    `whole`: the first axis is the batch; with three axes, the second one is time.
    """

    array: Array
    whole: bool = False

    def described(self) -> _Slot:
        """`Slot` of kernels.c."""
        steps = self.array.strides[1] // 4 if self.array.ndim == 3 else 0
        return _Slot(
            self.array.__array_interface__["data"][0], self.array.strides[0] // 4, steps, int(self.whole)
        )


def scan(
    operations: Operations,
    compiled: ctypes.Array[_Operation],
    slots: Sequence[SlotOf],
    batch: int,
    block: int,
    steps: int,
) -> None:
    """Every operation, step after step, for one block of rows after the other."""
    scratch = operations.kernels.scratch(*operations.taps)
    described = (_Slot * len(slots))(*(slot.described() for slot in slots))
    operations.kernels.scan(compiled, len(compiled), described, batch, block, steps, scratch)
