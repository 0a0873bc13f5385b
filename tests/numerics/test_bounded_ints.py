# SPDX-License-Identifier: MIT
"""Containers: the cheapest one that is exact, at each of their edges."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numerics.bounded_ints import BoundedInts, CompactInts, dtype_for, largest_magnitude

EDGES = {np.float32: 1 << 24, np.float64: 1 << 53, np.int64: (1 << 63) - 1}


@pytest.mark.parametrize("dtype", EDGES)
def test_an_integer_at_the_edge_survives_and_one_past_it_would_not(dtype: type) -> None:
    edge = EDGES[dtype]
    assert dtype_for(edge) == dtype
    assert int(np.array([edge]).astype(dtype)[0]) == edge
    assert dtype_for(edge + 1) != dtype
    if dtype is not np.int64:
        assert int(np.array([edge + 1]).astype(dtype)[0]) != edge + 1


def test_the_bound_is_the_largest_magnitude() -> None:
    assert largest_magnitude(np.array([3, -5, 4])) == 5
    assert largest_magnitude(np.array([-(2**63), 0])) == 2**63
    assert largest_magnitude(np.zeros((0, 3))) == 0


def test_integers_come_back_from_every_container() -> None:
    for edge in EDGES.values():
        ints = np.array([-edge, edge, 0, 1])
        held = BoundedInts.of(ints)
        assert held.ints().tolist() == ints.tolist()
        assert held.ints() is not held.array
        assert not held.ints().flags.writeable
        assert [int(n) for n in held.to(np.dtype(object))] == ints.tolist()
        assert all(type(n) is int for n in held.to(np.dtype(object)))


def test_a_shift_to_the_left_moves_to_a_wider_container_when_it_must() -> None:
    held = BoundedInts.of(np.array([3, -(1 << 23)]))
    for shift, dtype in ((0, np.float32), (1, np.float32), (2, np.float64), (30, np.float64), (31, np.int64)):
        shifted = held.shifted(shift)
        assert shifted.array.dtype == dtype
        assert shifted.bound == held.bound << shift
        assert shifted.ints().tolist() == [3 << shift, -(1 << 23 + shift)]


@pytest.mark.parametrize("bits", [1, 5, 16, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_addresses_are_the_lowest_bits(bits: int, dtype: type) -> None:
    ints = np.random.default_rng(0).integers(-(1 << bits - 1), 1 << bits - 1, 200, endpoint=False)
    addresses = BoundedInts(ints.astype(dtype), 1 << bits).addresses(bits)
    assert addresses.dtype == np.intp
    assert np.array_equal(addresses, ints & ((1 << bits) - 1))


def test_the_norm_is_the_largest_column_sum() -> None:
    assert BoundedInts.of(np.array([[1, -2], [-3, 1]])).columns.norm == 4
    assert BoundedInts.of(np.array([1, -2, -3])).columns.norm == 6
    assert BoundedInts.of(np.array([[[1, 5]], [[2, 3]]])).columns.norm == 5


def test_an_empty_matrix_has_statistics() -> None:
    weights = BoundedInts.of(np.zeros((4, 0), np.int64))
    assert (weights.bound, weights.columns.norm) == (0, 0)
    assert BoundedInts.of(np.zeros((0, 4), np.int64)).columns.norm == 0


@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 3), (5,)])
def test_columns_are_sums_over_the_terms(shape: tuple[int, ...]) -> None:
    w = np.random.default_rng(1).integers(-9, 6, shape)
    columns, axis = BoundedInts.of(w).columns, -2 if len(shape) > 1 else 0
    assert np.array_equal(columns.sums, w.sum(axis))
    assert columns.norm == np.abs(w).sum(axis).max()
    assert columns.one_sided == max(np.maximum(w, 0).sum(axis).max(), np.maximum(-w, 0).sum(axis).max())


@pytest.mark.parametrize("signed", [True, False])
def test_within_is_what_every_single_integer_says(signed: bool) -> None:
    for least in range(-2, 3) if signed else range(3):
        ints = np.array([least, 1])
        for bound in range(int(np.abs(ints).max()), 5):
            for low in range(-5, 4):
                for high in range(low, 6):
                    expected = all(low <= n <= high for n in ints)
                    assert BoundedInts(ints, bound, signed).within(low, high) is expected
                    assert CompactInts(ints.astype(np.int8), bound, signed).within(low, high) is expected


@pytest.mark.parametrize(("zeros", "left_out"), [(0, False), (1, False), (33, True), (38, True)])
def test_columns_of_zeros_are_left_out_where_that_is_quicker(zeros: int, left_out: bool) -> None:
    w = np.ones((45, 40), np.int64)
    w[:, 2 : 2 + zeros] = 0
    compact = BoundedInts.of(w).columns.nonzero_columns
    assert (compact is not None) is left_out
    if compact is not None:
        matrix, places = compact
        assert matrix.shape == (45, 41 - zeros)
        assert np.array_equal(matrix.array[:, places], w)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16])
def test_words_of_one_or_two_bytes_come_back_in_every_container(kind: type) -> None:
    info = np.iinfo(kind)
    words = np.array([info.min, -1 if info.min else 1, 0, info.max], kind)
    held = CompactInts(words, max(-int(info.min), int(info.max)), info.min < 0)
    for dtype in (np.float32, np.float64, np.int64, object):
        array = held.to(np.dtype(dtype))
        assert array.dtype == dtype
        assert [int(n) for n in array] == words.tolist()
    assert all(type(n) is int for n in held.to(np.dtype(object)))
    assert held.to(np.dtype(np.float32)) is held.array, "it is made once"
    assert held.within(int(info.min), int(info.max))
    assert not held.within(int(info.min) + 1, int(info.max))
    assert not held.within(int(info.min), int(info.max) - 1)


@pytest.mark.parametrize("shape", [(7, 5), (3, 7, 5), (9,)])
def test_words_have_the_statistics_of_their_numbers_and_no_floats_are_kept(shape: tuple[int, ...]) -> None:
    for kind in (np.int8, np.uint8, np.int16, np.uint16):
        info = np.iinfo(kind)
        words = np.random.default_rng(1).integers(info.min, info.max + 1, shape).astype(kind)
        held = CompactInts(words, 1 << info.bits, info.min < 0)
        plain = BoundedInts(words.astype(np.int64), 1 << info.bits).columns
        assert (held.columns.norm, held.columns.one_sided) == (plain.norm, plain.one_sided)
        assert np.array_equal(held.columns.sums, plain.sums)
        assert np.array_equal(held.converted(np.dtype(np.float64)), words)
        assert held.converted(np.dtype(np.float32)).dtype == np.float32
        assert held._wide is None
    floats = BoundedInts(np.array([2.0, -3.0]), 3)
    assert floats.converted(np.dtype(np.float64)) is not floats.array
    assert floats.converted(np.dtype(np.int64)).tolist() == [2, -3]


@pytest.mark.parametrize("kind", [np.int8, np.uint16])
def test_words_without_their_columns_of_zeros_are_floats(kind: type) -> None:
    w = np.ones((45, 40), kind)
    w[:, 2:37] = 0
    compact = CompactInts(w, 1, signed=False).columns.nonzero_columns
    assert compact is not None
    matrix, places = compact
    assert matrix.array.dtype == np.float32 and matrix.shape == (45, 6)
    assert np.array_equal(matrix.array[:, places], w)


def test_the_bound_of_words_tells_what_the_numbers_need_not_be_asked_for() -> None:
    zeros = np.zeros(3, np.uint8)
    assert CompactInts(zeros, 9, signed=False).within(0, 9)
    assert CompactInts(zeros + np.uint8(5), 9, signed=False).within(1, 8)
    assert CompactInts(zeros + np.uint8(5), 9, signed=False).within(5, 5)
    assert not CompactInts(zeros + np.uint8(5), 9, signed=False).within(6, 8)
    assert not CompactInts(zeros + np.uint8(5), 9, signed=False).within(0, 4)
