# SPDX-License-Identifier: MIT
"""Products whose sums are too long for float32, cut into stretches of terms that are not.

Every stretch is exact in float32, which is twice as fast as float64; the stretches' sums are added in int32 or
float64. Integers that are never negative are first taken from the middle of their range, which halves them and
so the number of stretches: x @ w = (x - c) @ w + c * (the sums of w's columns).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, FLOAT32_EXACT, FLOAT64, BoundedInts

_SHORTEST = 20  # terms per stretch, on average, below which float64 is as fast
_FEW = 4  # stretches that cost no more than a pass over x does
_INT32, _INT32_EXACT = np.dtype(np.int32), (1 << 31) - 1


def stretched_product(a: BoundedInts, b: BoundedInts) -> Array | None:
    """a @ b in float64, or None if stretches would be no faster; a is (rows, k) and b (k, n)."""
    if a.array.ndim != 2 or b.array.ndim != 2 or max(a.bound, b.bound) > FLOAT32_EXACT:
        return None
    centre = (a.bound + 1) >> 1
    if b.columns.norm * centre > FLOAT32_EXACT * _most(b):  # not even then
        return None
    ends = _ends(b, a.bound)
    if 0 < len(ends) <= _FEW or a.array.min() < 0:
        centre = 0
    elif centred := _ends(b, centre):
        ends = centred
    if not ends:
        return None
    x, w = a.to(FLOAT32), b.kept(FLOAT32)
    # |x - c| + c is at most a.bound + 1, and so is what all sums on the way are made of.
    kind = _INT32 if (a.bound + 1) * b.columns.norm <= _INT32_EXACT else FLOAT64
    total = np.empty((len(x), w.shape[1]), kind)
    total[...] = centre * b.columns.sums if centre else 0
    if centre:
        x = x - np.float32(centre)
    for start, end in pairwise((0, *ends)):
        total += (x[:, start:end] @ w[start:end]).astype(kind)
    return total.astype(FLOAT64, copy=False)


def _most(b: BoundedInts) -> int:
    return int(b.array.shape[0]) // _SHORTEST


def _ends(b: BoundedInts, bound: int) -> tuple[int, ...]:
    """Where each stretch ends, or () if there would be too many to gain anything."""
    # Bounds that differ by little share a plan, made for the largest of them.
    drop = max(bound.bit_length() - 4, 0)
    reach = -(-bound >> drop) << drop
    if reach not in b.columns.stretches:
        b.columns.stretches[reach] = _plan(b, FLOAT32_EXACT // reach)
    return b.columns.stretches[reach]


def _plan(b: BoundedInts, most: int) -> tuple[int, ...]:
    """Stretches of terms, as long as possible, in which no column's magnitudes add up to more than `most`."""
    terms = int(b.array.shape[0])
    if b.columns.norm > most * _most(b):  # the longest column alone would need too many
        return ()
    grown = np.abs(b.to(FLOAT64)).cumsum(axis=0)
    ends: list[int] = []
    start, before = 0, np.zeros(grown.shape[1])
    while start < terms:
        # No column ever falls, so the largest sums over the columns rise too, and can be searched.
        end = start + int(np.searchsorted((grown[start:] - before).max(axis=1), most, side="right"))
        if end == start or len(ends) == _most(b):
            return ()
        ends.append(end)
        start, before = end, grown[end - 1]
    return tuple(ends)
