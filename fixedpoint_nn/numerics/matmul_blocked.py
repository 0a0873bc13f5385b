# SPDX-License-Identifier: MIT
"""K-blocking: products whose sums exceed float32, split into blocks of terms that do not.

Every block is exact in float32, which is twice as fast as float64; the blocks' sums are added in int32 or float64.
Operands that are never negative are first centred, which halves them and so the number of blocks:
x @ w = (x - c) @ w + c * (column sums of w).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, FLOAT32_EXACT, FLOAT64, BoundedInts

_MIN_TERMS = 20  # terms per block, on average, below which float64 is as fast
_CHEAP_BLOCKS = 4  # blocks that cost no more than a pass over x
_INT32, _INT32_EXACT = np.dtype(np.int32), (1 << 31) - 1


def blocked_product(a: BoundedInts, b: BoundedInts) -> Array | None:
    """a @ b in float64, (rows, k) @ (k, n); None if blocks would not be faster."""
    if a.array.ndim != 2 or b.array.ndim != 2 or max(a.bound, b.bound) > FLOAT32_EXACT:
        return None
    centre = (a.bound + 1) >> 1
    if b.columns.norm * centre > FLOAT32_EXACT * _max_blocks(b):  # even then too large
        return None
    ends = _block_ends(b, a.bound)
    if 0 < len(ends) <= _CHEAP_BLOCKS or a.array.min() < 0:
        centre = 0
    elif centred := _block_ends(b, centre):
        ends = centred
    if not ends:
        return None
    x, w = a.to(FLOAT32), b.to_cached(FLOAT32)
    # |x - c| + c is at most a.bound + 1, which bounds the terms of all intermediate sums.
    kind = _INT32 if (a.bound + 1) * b.columns.norm <= _INT32_EXACT else FLOAT64
    total = np.empty((len(x), w.shape[1]), kind)
    total[...] = centre * b.columns.sums if centre else 0
    if centre:
        x = x - np.float32(centre)
    for start, end in pairwise((0, *ends)):
        total += (x[:, start:end] @ w[start:end]).astype(kind)
    return total.astype(FLOAT64, copy=False)


def _max_blocks(b: BoundedInts) -> int:
    return int(b.array.shape[0]) // _MIN_TERMS


def _block_ends(b: BoundedInts, bound: int) -> tuple[int, ...]:
    """The end of each block of terms; () if there would be too many blocks."""
    # Similar bounds share a plan, made for the largest of them.
    drop = max(bound.bit_length() - 4, 0)
    reach = -(-bound >> drop) << drop
    if reach not in b.columns.block_ends:
        b.columns.block_ends[reach] = _plan(b, FLOAT32_EXACT // reach)
    return b.columns.block_ends[reach]


def _plan(b: BoundedInts, most: int) -> tuple[int, ...]:
    """Ends of the longest blocks of terms in which no column's magnitudes sum to more than `most`."""
    terms = int(b.array.shape[0])
    if b.columns.norm > most * _max_blocks(b):  # the largest column alone would need too many
        return ()
    grown = np.abs(b.to(FLOAT64)).cumsum(axis=0)
    ends: list[int] = []
    start, before = 0, np.zeros(grown.shape[1])
    while start < terms:
        # Columns of cumulated magnitudes are monotonic, so their maximum is, and can be searched.
        end = start + int(np.searchsorted((grown[start:] - before).max(axis=1), most, side="right"))
        if end == start or len(ends) == _max_blocks(b):
            return ()
        ends.append(end)
        start, before = end, grown[end - 1]
    return tuple(ends)
