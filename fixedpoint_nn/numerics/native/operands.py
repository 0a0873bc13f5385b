# SPDX-License-Identifier: MIT
"""Which products the compiled kernels take, and the weights packed for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, BoundedInts
from fixedpoint_nn.numerics.native.library import SUM_LIMIT, Epilogue, Kernels, Source, chosen

_BYTES_FROM_LEVEL = 2  # products of bytes need VNNI; below, pairs of 16 bits are as fast
_INT8, _INT16 = (1 << 7) - 1, (1 << 15) - 1


@dataclass(frozen=True)
class Operands:
    """Packed weights, how wide the kernel's operands are, and what is added to the rows to make them bytes."""

    kernels: Kernels
    packed: Array
    columns: int
    bits: int
    offset: int
    correction: Array  # of the bias, for the offset; int64

    def multiply(
        self, source: Source, bias: Array | None, addend: Array | None, epilogue: Epilogue, out: Array
    ) -> None:
        """out = epilogue(rows @ weights + bias + addend), all of them integers in float32."""
        corrected = self.correction if bias is None else self.correction + bias.astype(np.int64)
        self.kernels.product(
            source, self.packed, self.columns, self.bits, self.offset,
            corrected.astype(np.int32), addend, epilogue, out,
        )  # fmt: skip


def operands(a: BoundedInts, b: BoundedInts, bound: int) -> Operands | None:
    """For sums of at most `bound`, bias and all; None if the kernels are not there or the operands are too wide."""
    kernels = chosen().kernels
    if kernels is None or bound > SUM_LIMIT or max(a.bound, b.bound) > _INT16:
        return None
    bits, offset = 16, 0
    if kernels.level >= _BYTES_FROM_LEVEL and a.bound <= 2 * _INT8 + 1 and b.within(-_INT8 - 1, _INT8):
        if a.within(0, 2 * _INT8 + 1):
            bits = 8
        elif a.within(-_INT8 - 1, _INT8) and (a.bound + _INT8 + 1) * b.columns.norm <= SUM_LIMIT:
            bits, offset = 8, _INT8 + 1
    key = (kernels.level, bits, offset)
    known = b.columns.native
    if key not in known:
        packed = kernels.pack(b.to_cached(FLOAT32), bits)
        known[key] = Operands(kernels, packed, b.shape[1], bits, offset, -offset * b.columns.sums)
    found: Operands = known[key]
    return found
