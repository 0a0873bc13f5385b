# SPDX-License-Identifier: MIT
"""Products in blocks of terms and in bit fields: exact at the edge of each bound, and not taken beyond it."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numerics.bounded_ints import FLOAT32_EXACT, FLOAT64, BoundedInts
from fixedpoint_nn.numerics.matmul_blocked import _plan, blocked_product
from fixedpoint_nn.numerics.matmul_packed import packed_product


def weights(terms: int, norm: int) -> BoundedInts:
    """One column whose magnitudes add up to `norm`, spread evenly."""
    column = np.full((terms, 1), norm // terms, np.int64)
    column[: norm % terms] += 1
    return BoundedInts.of(column)


def rows(value: int, terms: int, bound: int | None = None) -> BoundedInts:
    """One row of equal numbers, of which no more is known than their bound."""
    return BoundedInts(np.full((1, terms), value, np.int64), abs(value) if bound is None else bound)


def exact(a: BoundedInts, b: BoundedInts) -> None:
    found = blocked_product(a, b)
    assert found is not None, "blocks gain something"
    assert found.dtype == FLOAT64
    assert np.array_equal(found.astype(np.int64), a.array.astype(np.int64) @ b.array.astype(np.int64))


def test_taken_from_the_middle_one_block_is_just_enough() -> None:
    """Bytes from 0 to 255 less 128, times magnitudes of 2**17 in all: 2**24."""
    exact(rows(255, 20), weights(20, 1 << 17))
    exact(rows(0, 20, 255), weights(20, 1 << 17))
    exact(rows(0, 20, 254), weights(20, 1 << 17))
    assert blocked_product(rows(255, 20), weights(20, (1 << 17) + 1)) is None


def test_numbers_below_0_are_not_taken_from_the_middle() -> None:
    """256 * 65535 is even, and exact; with one more in each factor of the row it would be odd, and is not."""
    exact(rows(-256, 20), weights(20, 65535))
    exact(rows(256, 20), weights(20, 65535))


def test_sums_that_int32_does_not_hold_are_added_in_float64() -> None:
    exact(rows(255, 1400), weights(1400, 8421505))
    exact(rows(255, 1400), weights(1400, ((1 << 31) - 1) // 256))


def test_operands_that_float32_does_not_hold_or_of_other_axes_are_left_alone() -> None:
    one = BoundedInts.of(np.eye(20, 1, dtype=np.int64))
    exact(rows(5, 20, FLOAT32_EXACT), one)
    assert blocked_product(rows(5, 20, FLOAT32_EXACT + 1), one) is None
    assert blocked_product(BoundedInts(np.ones((2, 1, 20), np.int64), 1), one) is None
    assert blocked_product(rows(1, 20), BoundedInts(np.ones((1, 20, 1), np.int64), 1)) is None
    assert blocked_product(rows(1, 20), BoundedInts(np.ones((20, 1), np.int64), FLOAT32_EXACT + 1)) is None


@pytest.mark.parametrize(
    ("column", "most", "ends"),
    [
        ([1] * 40, 20, (20, 40)),
        ([1] * 40, 40, (40,)),
        ([1] * 40, 19, ()),  # three blocks, and two are allowed
        ([1] * 41, 20, ()),
        ([12, 12, 12] + [0] * 37, 20, ()),  # three blocks though 36 is no more than two times 20
        ([12, 8, 12] + [0] * 37, 20, (2, 40)),
        ([21] + [0] * 39, 20, ()),  # no block holds it
        ([0] * 20 + [21] + [0] * 19, 20, ()),
        ([1] * 19, 20, ()),  # too few terms for one block
    ],
)
def test_blocks_are_as_long_as_possible_and_20_terms_on_average(
    column: list[int], most: int, ends: tuple[int, ...]
) -> None:
    assert _plan(BoundedInts.of(np.array(column)[:, None]), most) == ends


def test_every_column_has_its_bound_in_every_block() -> None:
    two = np.zeros((40, 2), np.int64)
    two[:10, 0], two[10:20, 1] = 2, 3
    assert _plan(BoundedInts.of(two), 20) == (16, 40)


@pytest.mark.parametrize(
    ("rows_", "columns", "terms", "taken"), [(64, 64, 128, 1), (63, 64, 128, 0), (64, 63, 128, 0)]
)
def test_columns_side_by_side_give_the_same_sums(rows_: int, columns: int, terms: int, taken: int) -> None:
    rng = np.random.default_rng(0)
    a = BoundedInts.of(rng.integers(-1, 2, (rows_, terms)))
    b = BoundedInts.of((rng.random((terms, columns)) < 0.05).astype(np.int64))
    found = packed_product(a, b)
    assert (found is not None) is bool(taken)
    if found is not None:
        assert np.array_equal(found, a.array @ b.array)
