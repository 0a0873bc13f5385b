# SPDX-License-Identifier: MIT
"""Packed products: the sums of several columns of few bits in bit fields of one float.

With |x @ v| and |x @ w| below 2**(d - 1), x @ (v + 2**d * w) holds both: divided by 2**d and rounded it is x @ w, and
the remainder is x @ v. This is exact if the float holds all fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, FLOAT64, BoundedInts

_OUTPUTS = 64  # rows and columns from which packing is faster
# Bits of an integer that the float holds; the fewest columns in one, and the fewest terms, from which on it gains:
# float64 is half as fast, and x has to be brought into it.
_FLOATS = ((FLOAT32, 24, 2, 128), (FLOAT64, 53, 3, 512))


@dataclass(frozen=True)
class Packing:
    """`count` columns packed into one, with `field_bits` bits each."""

    count: int
    field_bits: int
    dtype: np.dtype[Any] = FLOAT32

    def packed(self, matrix: Array) -> Array:
        """The packed matrix of n columns: column i holds columns i, i + n, i + 2 n, ..., from the lowest field on."""
        terms, outputs = matrix.shape
        width = -(-outputs // self.count)
        total = np.zeros((terms, width), self.dtype)
        for place in range(self.count):
            part = matrix[:, place * width : (place + 1) * width]
            total[:, : part.shape[1]] += part * self.dtype.type(2.0 ** (place * self.field_bits))
        return total

    def unpacked(self, sums: Array, outputs: int) -> Array:
        """The unpacked sums in float32; the packed sums are overwritten."""
        width = sums.shape[1]
        result = np.empty((len(sums), outputs), np.float32)
        for place in range(self.count - 1, 0, -1):
            size = self.dtype.type(2.0 ** (place * self.field_bits))
            fields = np.rint(sums * (1 / size))
            sums -= fields * size
            result[:, place * width : (place + 1) * width] = fields[:, : max(outputs - place * width, 0)]
        result[:, :width] = sums
        return result


def packed_product(a: BoundedInts, b: BoundedInts) -> Array | None:
    """a @ b, (rows, k) @ (k, n); None if packing would not be faster."""
    if a.array.ndim != 2 or b.array.ndim != 2 or min(len(a.array), b.array.shape[1]) < _OUTPUTS:
        return None
    # Every |sum| is at most 2**(field_bits - 1) - 1, so all lower fields together are less than half of a field.
    field_bits = (a.bound * b.columns.norm).bit_length() + 1
    for dtype, bits, columns, terms in _FLOATS:
        if bits // field_bits >= columns and len(b.array) >= terms:
            packing = Packing(bits // field_bits, field_bits, dtype)
            if packing not in b.columns.packed:
                b.columns.packed[packing] = packing.packed(b.array)
            return packing.unpacked(a.to(dtype) @ b.columns.packed[packing], b.array.shape[1])
    return None
