# SPDX-License-Identifier: MIT
"""Lazy matrix products, fused with the operations that follow.

`(x @ w + bias).relu().cast(out)` would make five arrays in memory. Here the product is computed only when its integers
are needed, or at the cast: then block after block of rows is multiplied, added, scaled, rounded and clipped in one
small buffer that stays in the cache. The integers are the same: everything before the rounding is bounded by what a
float32 holds exactly.

The cast's power of two is multiplied into weights and bias beforehand, which only changes their exponents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, FLOAT32_EXACT, FLOAT64, BoundedInts
from fixedpoint_nn.numerics.native.library import Epilogue, Source
from fixedpoint_nn.numerics.native.operands import PackedOperands
from fixedpoint_nn.numerics.overflow import Overflow, fit, limits
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import round_floats

BLOCK_BYTES = 1 << 19  # of results, half of a core's second-level cache
SCALES = 60  # powers of two by which float32 weights may be scaled: well within its exponents
CLIPS = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)


class RowSource(Protocol):
    """The left operand of a product, accessed in blocks."""

    @property
    def count(self) -> int:
        """The number of rows."""

    def blocks(self, outputs: int) -> Iterator[tuple[int, Array]]:
        """(first row, float32 rows) of each block; results of `outputs` columns fit the cache."""

    def source(self) -> Source:
        """All rows, as an operand of the compiled kernels."""


@dataclass(frozen=True)
class MatrixRows:
    """The rows of a matrix in memory."""

    matrix: Array

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.matrix)

    def blocks(self, outputs: int) -> Iterator[tuple[int, Array]]:
        """(first row, rows) of each block whose results fit the cache."""
        size = max(512, BLOCK_BYTES // (4 * outputs))
        for start in range(0, len(self.matrix), size):
            yield start, self.matrix[start : start + size]

    def source(self) -> Source:
        """The matrix, as an operand of the compiled kernels."""
        matrix = self.matrix if self.matrix.strides[1] == 4 else np.ascontiguousarray(self.matrix)
        return Source(matrix, *matrix.shape)


@dataclass(frozen=True)
class _Plan:
    """rows @ weights + addends, then an optional ReLU."""

    rows: RowSource
    weights: BoundedInts
    compiled: PackedOperands | None  # for the compiled kernels, if they support this product
    eager: Callable[[], Array]  # the unfused product
    addends: tuple[Array, ...] = ()  # rows (outputs,), or arrays of the result's shape, in float32
    relu: bool = False


class DeferredProduct(BoundedInts):
    """The integers of a `_Plan`, computed on the first use of `array`, or block by block in `requantized`."""

    __slots__ = ("_cast_before", "_computed", "_plan", "_shape")

    def __init__(self, plan: _Plan, shape: tuple[int, ...], bound: int) -> None:
        self.bound, self.signed = bound, True
        self._plan, self._shape = plan, shape
        self._computed: Array | None = None
        self._cast_before = False
        self._columns = None
        self._others = None
        self._read_only = None

    @classmethod
    def of(  # type: ignore[override]
        cls,
        rows: RowSource,
        weights: BoundedInts,
        shape: tuple[int, ...],
        bound: int,
        compiled: PackedOperands | None,
        eager: Callable[[], Array],
    ) -> DeferredProduct:
        """A product without addends; `eager` computes it unfused."""
        return cls(_Plan(rows, weights, compiled, eager), shape, bound)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._shape

    @property
    def waiting(self) -> bool:
        """Whether the integers have not been computed yet."""
        return self._computed is None

    @property
    def array(self) -> Array:  # type: ignore[override]
        """The integers, computed on first use."""
        if self._computed is None:
            wide = self.bound > FLOAT32_EXACT
            self._computed = (self._in_wide_floats() if wide else self._in_float32()).reshape(self._shape)
        return self._computed

    def can_add(self, other: BoundedInts, bound: int) -> bool:
        """Whether `other`, one row or an array of the result's shape, can be added lazily."""
        compiled = self._plan.compiled
        by_column = other.shape == self._shape[-1:]
        return (
            self.waiting
            and not self._plan.relu
            and bound <= (FLOAT32_EXACT if compiled is None else compiled.most)
            and (other.bound <= FLOAT32_EXACT or (by_column and compiled is not None and compiled.is_wide))
            and (by_column or other.shape == self._shape)
        )

    def plus(self, other: BoundedInts, bound: int) -> DeferredProduct:
        """The lazy product with one more addend."""
        array = other.to_cached(FLOAT32 if other.bound <= FLOAT32_EXACT else FLOAT64)
        addend = array if array.ndim == 1 else array.reshape(-1, array.shape[-1])
        plan = replace(self._plan, addends=(*self._plan.addends, addend))
        return DeferredProduct(plan, self._shape, bound)

    def relu(self) -> DeferredProduct:
        """The lazy product with a ReLU at its end."""
        return DeferredProduct(replace(self._plan, relu=True), self._shape, self.bound)

    def can_requantize(self, shift: int, quantizer: Quantizer) -> bool:
        """Whether the fused pass can do the cast: within float32, and once only.

        A second cast uses the computed integers.
        """
        if not self.waiting or self._cast_before or quantizer.format.magnitude > FLOAT32_EXACT:
            return False
        return self._compiled_for(shift) or (self.bound <= FLOAT32_EXACT and abs(shift) <= SCALES)

    def requantized(self, shift: int, quantizer: Quantizer, fits: bool, bound: int) -> BoundedInts:
        """The integers times 2**shift, rounded and fitted by the quantizer; `fits`: they are known to fit."""
        self._cast_before = True
        if self._compiled_for(shift):
            result = self._by_kernels(Epilogue(self._plan.relu, -shift, quantizer, fits))
        else:
            result = self._in_float32(shift, quantizer, fits)
        return BoundedInts(result.reshape(self._shape), bound, quantizer.format.signed)

    def _compiled_for(self, shift: int) -> bool:
        return self._plan.compiled is not None and self._plan.compiled.can_finish(shift)

    def _by_kernels(self, epilogue: Epilogue) -> Array:
        plan, outputs = self._plan, self._shape[-1]
        assert plan.compiled is not None
        lines = [array for array in plan.addends if array.ndim == 1]
        matrices = [array for array in plan.addends if array.ndim == 2]
        bias = sum(lines[1:], lines[0].astype(np.float64)) if lines else None
        addend = np.ascontiguousarray(sum(matrices[1:], matrices[0])) if matrices else None
        result = np.empty((plan.rows.count, outputs), np.float32)
        plan.compiled.multiply(plan.rows.source(), bias, addend, epilogue, result)
        return result

    def _in_float32(self, shift: int = 0, quantizer: Quantizer | None = None, fits: bool = True) -> Array:
        plan, outputs = self._plan, self._shape[-1]
        if quantizer is None and plan.compiled is not None and not plan.compiled.is_wide:
            return self._by_kernels(Epilogue(plan.relu))
        result = np.empty((plan.rows.count, outputs), np.float32)
        weights = _scaled(plan.weights, shift)
        addends = [array if shift == 0 else array * np.float32(2.0**shift) for array in plan.addends]
        for start, rows in plan.rows.blocks(outputs):
            z = result[start : start + len(rows)]
            np.matmul(rows, weights, out=z)
            for addend in addends:
                z += addend if addend.ndim == 1 else addend[start : start + len(rows)]
            _finish(z, shift, quantizer, fits, plan.relu)
        return result

    def _in_wide_floats(self) -> Array:
        total = self._plan.eager()
        for addend in self._plan.addends:
            total = total + addend
        return np.maximum(total, 0) if self._plan.relu else total


def _scaled(weights: BoundedInts, shift: int) -> Array:
    """The weights times 2**shift in float32, cached per shift."""
    if shift == 0:
        return weights.to_cached(FLOAT32)
    scaled = weights.columns.scaled
    if shift not in scaled:
        scaled[shift] = weights.to_cached(FLOAT32) * np.float32(2.0**shift)
    return scaled[shift]


def _finish(z: Array, shift: int, quantizer: Quantizer | None, fits: bool, relu: bool) -> None:
    """ReLU, rounding and overflow handling, in place.

    No rounding makes a negative number positive, so ReLU can follow it, merged into the clip that saturates.
    """
    clips = quantizer is not None and not fits and quantizer.overflow in CLIPS
    if relu and not clips:
        np.maximum(z, 0, out=z)
    if quantizer is None:
        return
    if shift < 0:
        round_floats(z, quantizer.rounding, z)
    if clips:
        lo, hi = limits(quantizer.format, quantizer.overflow)
        np.clip(z, max(lo, 0) if relu else lo, hi, out=z)
    elif not fits:
        z[...] = fit(z, quantizer.format, quantizer.overflow, z)
