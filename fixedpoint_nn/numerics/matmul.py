# SPDX-License-Identifier: MIT
"""Exact integer matrix products at the speed of BLAS.

If the sum of absolute products stays within 2**24 (float32) or 2**53 (float64), then so does every partial
sum, in whichever order BLAS adds, and each of them is held exactly. If one operand is never negative, then the
positive products alone, and the negative ones alone, are bounds of the same kind.

A sum that is too long for float32, which is twice as fast, is cut into blocks of terms that are not
(matmul_blocked.py); sums of few bits share one float (matmul_packed.py); columns of zeros are left out.

Operands that are too large for float64 are cut into words that are not; the words' products are joined in
int64, which is exact modulo 2**64 even where the sum itself is larger.
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
from fixedpoint_nn.numerics.deferred_product import DeferredProduct, MatrixRows, Rows
from fixedpoint_nn.numerics.matmul_blocked import blocked_product
from fixedpoint_nn.numerics.matmul_packed import packed_product
from fixedpoint_nn.numerics.native.operands import operands


def deferred_product(
    a: BoundedInts, b: BoundedInts, shape: tuple[int, ...], rows: Rows | None = None
) -> DeferredProduct | None:
    """a @ b, computed when it is needed, together with what follows; None where `product` knows a faster way.

    `rows` gives the rows of a, where a is no matrix in memory; `shape` is the result's.
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
    """a @ b, exact if its `bound` is below 2**63, and modulo 2**64 otherwise.

    b is (k, n), or (groups, k, n) for an a of (..., groups, k).
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
    blocked = blocked_product(a, b)
    if blocked is not None:
        return BoundedInts(blocked, bound)
    return BoundedInts(np.asarray(grouped_matmul(a.to(FLOAT64), b.to_cached(FLOAT64))), bound)


def product_bound(a: BoundedInts, b: BoundedInts) -> int:
    """An upper bound of every sum of absolute products in a @ b; from b's column norms where that is tighter."""
    bound = a.bound * b.bound * _terms(b)
    return bound if bound <= FLOAT32_EXACT else a.bound * b.columns.norm


def split_product(a: BoundedInts, b: BoundedInts) -> Ints:
    """a @ b modulo 2**64, in words."""
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
    return int(b.array.shape[-2 if b.array.ndim > 1 else 0])


def _plan(a_bits: int, b_bits: int, terms: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The fewest words, (count, bits) of each operand, whose products add up exactly in float64.

    A word of w bits has a magnitude of at most 2**w; so have the signed highest words.
    """
    best = None
    for a_words, b_words in pairs(range(1, 6), repeat=2):
        a_width, b_width = -(-max(a_bits, 1) // a_words), -(-max(b_bits, 1) // b_words)
        fits = terms << (a_width + b_width) <= FLOAT64_EXACT
        if fits and (best is None or a_words * b_words < best[0][0] * best[1][0]):
            best = (a_words, a_width), (b_words, b_width)
    return best


def _words(values: Ints, count: int, width: int) -> list[Array]:
    """values = sum of words[i] * 2**(i * width); all but the last one are unsigned."""
    words = []
    for _ in range(count - 1):
        words.append((values & np.int64((1 << width) - 1)).astype(np.float64))
        values = values >> np.int64(width)
    words.append(values.astype(np.float64))
    return words


def grouped_matmul(rows: Array, matrix: Array) -> Array:
    """(..., k) @ (k, m), or per group (..., groups, k) with (groups, k, m) to (..., groups * m)."""
    if matrix.ndim < 3:
        return rows @ matrix
    groups, taps, outputs = matrix.shape
    by_group = np.moveaxis(rows.reshape(-1, groups, taps), 1, 0) @ matrix
    return np.moveaxis(by_group, 0, 1).reshape(*rows.shape[:-2], groups * outputs)
