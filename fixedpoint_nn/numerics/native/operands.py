# SPDX-License-Identifier: MIT
"""The products that the compiled kernels support, and packing of their weights.

Sums of up to 31 bits stay in int32. Products of 16-bit words and 16-bit weights are `wide`: two products, with the
weights' low and high bytes, combined in int64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, FLOAT64_EXACT, BoundedInts
from fixedpoint_nn.numerics.native.library import (
    FASTER_THAN_NUMPY,
    MOST_SHIFT,
    MOST_WIDE_SHIFT,
    SUM_LIMIT,
    Epilogue,
    Kernels,
    Source,
    chosen,
    split_weights,
)

_BYTES_FROM_LEVEL = 2  # byte products need VNNI; below, 16-bit pairs are as fast
_INT8, _INT16 = (1 << 7) - 1, (1 << 15) - 1


@dataclass(frozen=True)
class PackedOperands:
    """Weights for a kernel, the width of its operands, and the offset that makes the rows bytes."""

    kernels: Kernels
    weights: BoundedInts
    columns: int
    bits: int
    offset: int
    correction: Array  # of the bias for the offset, int64
    is_wide: bool = False  # sums are combined in int64

    @property
    def parts(self) -> tuple[Array, ...]:
        """The weights in float32, or their low and high bytes; not kept, as only packing needs them."""
        weights = self.weights.converted(FLOAT32)
        return split_weights(weights) if self.is_wide else (weights,)

    @cached_property
    def wide(self) -> int:
        """The taps after which sums move to int64; 0: they stay in int32."""
        return _chunk(*self.parts) if self.is_wide else 0

    @cached_property
    def packed(self) -> Array:
        """The packed weights, part by part; packed on first use."""
        return np.concatenate([self.kernels.pack(part, self.bits) for part in self.parts])

    @property
    def most(self) -> int:
        """The largest sum that the kernel holds."""
        return FLOAT64_EXACT if self.is_wide else SUM_LIMIT

    def can_finish(self, shift: int) -> bool:
        """Whether the sum can be rounded by `shift` bits in the same pass."""
        return -(MOST_WIDE_SHIFT if self.is_wide else MOST_SHIFT) <= shift <= 0

    def multiply(
        self, source: Source, bias: Array | None, addend: Array | None, epilogue: Epilogue, out: Array
    ) -> None:
        """out = epilogue(rows @ weights + bias + addend), all integers in float32."""
        corrected = self.correction if bias is None else self.correction + bias.astype(np.int64)
        self.kernels.product(
            source, self.packed, self.columns, self.bits, self.offset,
            corrected.astype(np.int64 if self.is_wide else np.int32), addend, epilogue, out, self.wide,
        )  # fmt: skip


def operands(a: BoundedInts, b: BoundedInts, bound: int) -> PackedOperands | None:
    """The operands for sums of at most `bound`, bias included; None if the kernels do not support them."""
    kernels = chosen().kernels
    if kernels is None:
        return None
    if bound > SUM_LIMIT or max(a.bound, b.bound) > _INT16:
        return _wide(kernels, a, b, bound) if kernels.level >= FASTER_THAN_NUMPY else None
    bits, offset = 16, 0
    if kernels.level >= _BYTES_FROM_LEVEL and a.bound <= 2 * _INT8 + 1 and b.within(-_INT8 - 1, _INT8):
        if a.within(0, 2 * _INT8 + 1):
            bits = 8
        elif a.within(-_INT8 - 1, _INT8) and (a.bound + _INT8 + 1) * b.columns.norm <= SUM_LIMIT:
            bits, offset = 8, _INT8 + 1
    key = (kernels.level, bits, offset)
    known = b.columns.native
    if key not in known:
        correction = -offset * b.columns.sums
        known[key] = PackedOperands(kernels, _twin(b), b.shape[1], bits, offset, correction)
    found: PackedOperands = known[key]
    return found


def _wide(kernels: Kernels, a: BoundedInts, b: BoundedInts, bound: int) -> PackedOperands | None:
    """PackedOperands of up to 16 bits times weights of up to 16 bits."""
    if bound > FLOAT64_EXACT or not b.within(-_INT16 - 1, _INT16):
        return None
    if a.within(-_INT16 - 1, _INT16):
        offset = 0
    elif a.within(0, 2 * _INT16 + 1):
        offset = -_INT16 - 1
    else:
        return None
    key = (kernels.level, "wide", offset)
    known = b.columns.native
    if key not in known:
        correction = -offset * b.columns.sums
        known[key] = PackedOperands(kernels, _twin(b), b.shape[1], 16, offset, correction, is_wide=True)
    found: PackedOperands = known[key]
    return found


def _twin(weights: BoundedInts) -> BoundedInts:
    """The same integers in an object of their own: the weights keep their packed form, which must not keep them."""
    return weights.moved(lambda matrix: matrix)


def _chunk(low: Array, high: Array) -> int:
    """The largest even number of taps per block whose sums with 16-bit words fit int32."""
    taps, longest = len(low), SUM_LIMIT // (_INT16 + 1)
    magnitudes = np.maximum(np.abs(low), np.abs(high))
    for parts in range(1, taps + 1):
        chunk = -(-taps // parts)
        chunk += chunk % 2
        if all(magnitudes[at : at + chunk].sum(axis=0).max() <= longest for at in range(0, taps, chunk)):
            return chunk
    raise AssertionError("two taps always fit")
