# SPDX-License-Identifier: MIT
"""Exact integer matrix products at the speed of BLAS.

If the sum of absolute products is at most 2**24 (float32) or 2**53 (float64), so is every partial sum, in any order in
which BLAS adds, and each is exact. If one operand is never negative, the sum of the positive products and that of the
negative products are sufficient bounds.

A sum that exceeds float32, which is twice as fast as float64, is split into blocks of terms (matmul_blocked.py); sums
of few bits share one float (matmul_packed.py); columns of zeros are skipped.

Operands that exceed float64 are split into words; the products of words are combined in int64, which is exact modulo
2**64 even if the sum is larger.
"""

from __future__ import annotations

from itertools import product as pairs
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array, Ints
from fixedpoint_nn.numerics.bounded_ints import (
    FLOAT32,
    FLOAT32_EXACT,
    FLOAT64,
    FLOAT64_EXACT,
    INT64,
    BoundedInts,
)
from fixedpoint_nn.numerics.deferred_product import DeferredProduct, MatrixRows, RowSource
from fixedpoint_nn.numerics.matmul_blocked import blocked_product
from fixedpoint_nn.numerics.matmul_packed import packed_product
from fixedpoint_nn.numerics.native.operands import operands

_FEWEST_ROWS = 64  # for fewer, to plan blocks of terms takes longer than the product in float64


def deferred_product(
    a: BoundedInts, b: BoundedInts, shape: tuple[int, ...], rows: RowSource | None = None
) -> DeferredProduct | None:
    """a @ b as a lazy product, to be fused with what follows; None if `product` is faster.

    `rows` yields the rows of a if a is not a matrix in memory; `shape` is that of the result.
    """
    if b.ndim != 2 or shape[-1:] != b.shape[1:] or (rows is None and a.ndim != 2):
        return None
    bound = product_bound(a, b)
    if FLOAT32_EXACT < bound <= 2 * FLOAT32_EXACT and a.within(0, a.bound):
        bound = a.bound * b.columns.one_sided
    compiled = operands(a, b, bound)
    if bound > FLOAT32_EXACT and compiled is None:
        return None

    def eager() -> Array:
        """The sums themselves, where a float32 does not hold them."""
        matrix = a if a.ndim == 2 else BoundedInts(a.array.reshape(-1, b.shape[0]), a.bound)
        return product(matrix, b).array

    return DeferredProduct.of(rows or MatrixRows(a.to(FLOAT32)), b, shape, bound, compiled, eager)


def product(a: BoundedInts, b: BoundedInts) -> BoundedInts:
    """a @ b, exact if its `bound` is below 2**63, else modulo 2**64.

    (..., k) @ (k, n) -> (..., n), or (..., groups, k) @ (groups, k, n) -> (..., groups * n).
    """
    compact = b.columns.nonzero_columns
    if compact:
        matrix, places = compact
        result = product(a, matrix)
        return BoundedInts(result.array[:, places], result.bound)
    bound = product_bound(a, b)
    if FLOAT32_EXACT < bound <= 2 * FLOAT32_EXACT and a.within(0, a.bound):
        bound = a.bound * b.columns.one_sided
    if bound <= FLOAT32_EXACT:
        packed = packed_product(a, b)
        if packed is not None:
            return BoundedInts(packed, bound)
        return BoundedInts(np.asarray(grouped_matmul(a.to(FLOAT32), b.to_cached(FLOAT32))), bound)
    if bound > FLOAT64_EXACT:
        return BoundedInts(split_product(a, b), bound)
    blocked = blocked_product(a, b) if len(a.array) >= _FEWEST_ROWS else None
    if blocked is not None:
        return BoundedInts(blocked, bound)
    return BoundedInts(np.asarray(grouped_matmul(a.to(FLOAT64), b.to_cached(FLOAT64))), bound)


def product_bound(a: BoundedInts, b: BoundedInts) -> int:
    """An upper bound of every sum of absolute products in a @ b, from b's column norms if they are tighter."""
    bound = a.bound * b.bound * _terms(b)
    return bound if bound <= FLOAT32_EXACT else a.bound * b.columns.norm


def split_product(a: BoundedInts, b: BoundedInts) -> Ints:
    """a @ b modulo 2**64, by products of words."""
    plan = _plan(a.bound.bit_length(), b.bound.bit_length(), _terms(b))
    if plan is None:
        return np.asarray(grouped_matmul(a.to(INT64), b.to_cached(INT64)))
    (a_words, a_width), (b_words, b_width) = plan
    total: Any = 0
    b_parts = _words(b.to_cached(INT64), b_words, b_width)
    for (i, x), (j, y) in pairs(enumerate(_words(a.to(INT64), a_words, a_width)), enumerate(b_parts)):
        shift = i * a_width + j * b_width
        if shift < 64:
            total = total + (grouped_matmul(x, y).astype(np.int64) << np.int64(shift))
    return np.asarray(total)


def _terms(b: BoundedInts) -> int:
    return b.shape[-2]


def _plan(a_bits: int, b_bits: int, terms: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The fewest words, (count, bits) per operand, whose products sum exactly in float64; None if there are none.

    A word of w bits, also a signed highest one, has a magnitude of at most 2**w.
    """
    best = None
    for a_words, b_words in pairs(range(1, 6), repeat=2):
        a_width, b_width = -(-max(a_bits, 1) // a_words), -(-max(b_bits, 1) // b_words)
        fits = terms << (a_width + b_width) <= FLOAT64_EXACT
        if fits and (best is None or a_words * b_words < best[0][0] * best[1][0]):
            best = (a_words, a_width), (b_words, b_width)
    return best


def _words(values: Ints, count: int, width: int) -> list[Array]:
    """Words with values = sum of words[i] * 2**(i * width); all but the last are unsigned."""
    words = []
    for _ in range(count - 1):
        words.append((values & np.int64((1 << width) - 1)).astype(np.float64))
        values = values >> np.int64(width)
    words.append(values.astype(np.float64))
    return words


def grouped_matmul(rows: Array, matrix: Array) -> Array:
    """(..., k) @ (k, m), or per group (..., groups, k) @ (groups, k, m) -> (..., groups * m)."""
    if matrix.ndim < 3:
        return rows @ matrix
    groups, taps, outputs = matrix.shape
    by_group = np.moveaxis(rows.reshape(-1, groups, taps), 1, 0) @ matrix
    return np.moveaxis(by_group, 0, 1).reshape(*rows.shape[:-2], groups * outputs)
