# SPDX-License-Identifier: MIT
"""Products of few bits: the sums of several columns side by side in the digits of one float32.

With |x @ v| and |x @ w| below 2**(d - 1), x @ (v + 2**d * w) holds both: divided by 2**d and rounded it is
x @ w, and what that leaves is x @ v. Exact as long as float32 holds all the digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.container import FLOAT32, Array, Held

_BITS = 24  # of an integer that float32 holds
_TERMS, _OUTPUTS = 128, 64  # from so many on, taking digits apart costs less than the multiplications saved


@dataclass(frozen=True)
class Packing:
    """`count` columns in one, `digit` bits each."""

    count: int
    digit: int

    def packed(self, matrix: Array) -> Array:
        """Of n packed columns, column i holds i, i + n, i + 2 n, ..., the first in the lowest digit."""
        terms, outputs = matrix.shape
        width = -(-outputs // self.count)
        total = np.zeros((terms, width), np.float32)
        for place in range(self.count):
            part = matrix[:, place * width : (place + 1) * width]
            total[:, : part.shape[1]] += part * np.float32(2.0 ** (place * self.digit))
        return total

    def unpacked(self, sums: Array, outputs: int) -> Array:
        """The sums of the columns themselves; those of the packed ones are used up."""
        width = sums.shape[1]
        result = np.empty((len(sums), outputs), np.float32)
        for place in range(self.count - 1, 0, -1):
            size = np.float32(2.0 ** (place * self.digit))
            digits = np.rint(sums / size)
            sums -= digits * size
            result[:, place * width : (place + 1) * width] = digits[:, : max(outputs - place * width, 0)]
        result[:, :width] = sums
        return result


def packed_product(a: Held, b: Held) -> Array | None:
    """a @ b, or None if there is nothing to gain; a is (rows, k) and b (k, n)."""
    if a.array.ndim != 2 or b.array.ndim != 2:
        return None
    (rows, terms), outputs = a.array.shape, b.array.shape[1]
    if terms < _TERMS or min(rows, outputs) < _OUTPUTS:
        return None
    # Every |sum| is at most 2**(digit - 1) - 1, and so all lower digits together are less than half of one.
    digit = (a.bound * b.columns.norm).bit_length() + 1
    packing = Packing(_BITS // digit, digit)
    if packing.count < 2:
        return None
    if packing not in b.columns.packed:
        b.columns.packed[packing] = packing.packed(b.array)
    return packing.unpacked(a.to(FLOAT32) @ b.columns.packed[packing], outputs)
