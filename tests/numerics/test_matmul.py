# SPDX-License-Identifier: MIT
"""Fast products equal the slow one, at the edge of each bound; one step past it they would not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn.numerics.bounded_ints import FLOAT32, FLOAT64, FLOAT64_EXACT, INT64, BoundedInts, dtype_for
from fixedpoint_nn.numerics.matmul import deferred_product, product, product_bound, split_product
from fixedpoint_nn.numerics.matmul_packed import Packing
from fixedpoint_nn.numerics.native import library


def slow(a: np.ndarray, b: np.ndarray) -> list[list[int]]:
    """Python's integers, which know no bound."""
    exact: list[list[int]] = (a.astype(object) @ b.astype(object)).tolist()
    return exact


def held(ints: np.ndarray) -> BoundedInts:
    return BoundedInts.of(np.asarray(ints, np.int64))


def sum_of_ones(bound: int, terms: int) -> tuple[np.ndarray, np.ndarray]:
    """Integers whose absolute products sum up to exactly `bound`, ending in the bit that is lost first."""
    ones = np.ones((1, terms), np.int64)
    share = np.full((terms, 1), bound // terms, np.int64)
    share[:, 0][: bound % terms] += 1
    return ones, share


@pytest.mark.parametrize(("edge", "dtype"), [(1 << 24, FLOAT32), (1 << 53, FLOAT64), ((1 << 63) - 1, INT64)])
@pytest.mark.parametrize("terms", [1, 2, 3, 7, 64])
def test_at_the_edge_the_fast_kernel_is_chosen_and_exact(edge: int, dtype: np.dtype, terms: int) -> None:
    for sign in (1, -1):
        a, b = sum_of_ones(edge, terms)
        assert product_bound(held(a), held(b)) == edge
        result = product(held(a), held(sign * b))
        assert result.array.dtype == dtype
        assert result.bound == edge
        assert [[int(n) for n in row] for row in result.array] == slow(a, sign * b)


@pytest.mark.parametrize(("edge", "wide"), [(1 << 24, FLOAT64), (1 << 53, INT64)])
def test_one_step_past_the_edge_the_fast_kernel_would_be_wrong(edge: int, wide: np.dtype) -> None:
    narrow = dtype_for(edge)
    a, b = sum_of_ones(edge + 1, 3)
    fast = (a.astype(narrow) @ b.astype(narrow)).astype(np.int64)
    assert int(fast[0, 0]) == edge  # and not edge + 1
    result = product(held(a), held(b))
    assert result.array.dtype == wide
    assert int(result.array[0, 0]) == edge + 1


def test_one_step_past_63_bits_only_the_lowest_64_bits_are_kept() -> None:
    a, b = sum_of_ones((1 << 63) + 1, 3)
    result = product(held(a), held(b))
    assert result.bound >= 1 << 63  # so the caller knows
    assert int(result.array[0, 0]) == -(1 << 63) + 1


def test_cancelling_terms_leave_the_range_on_the_way() -> None:
    """The final sum is small; it is the sum of magnitudes that decides."""
    edge = (1 << 24) + 2
    a = np.array([[1, 1, 1, 1]])
    b = np.array([[edge // 2], [edge // 2 + 1], [-(edge // 2)], [-(edge // 2)]])
    assert dtype_for(product_bound(held(a), held(b))) == FLOAT64
    assert int(product(held(a), held(b)).array[0, 0]) == 1


def test_the_columns_own_norm_proves_more_than_the_formats() -> None:
    a = np.full((2, 784), 32767)
    sparse = np.zeros((784, 2), np.int64)
    sparse[3, 0], sparse[5, 1] = 500, -512
    assert product_bound(held(a), held(sparse)) == 32767 * 512
    assert product(held(a), held(sparse)).array.dtype == FLOAT32
    assert FLOAT64_EXACT >> 20 < 32767 * 512 * 784  # the formats alone would have asked for float64
    assert [[int(n) for n in row] for row in product(held(a), held(sparse)).array] == slow(a, sparse)


def one_long_sum(terms: int, a_value: int, b_value: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((64, terms), a_value), np.full((terms, 2), b_value)


@pytest.mark.parametrize("terms", [64, 100, 784])
def test_a_long_sum_is_cut_into_blocks_that_float32_holds(terms: int) -> None:
    """Odd summands: a block that went one term too far would lose the lowest bit."""
    a, b = one_long_sum(terms, 1023, 2**24 // 1024 // 40 + 1)
    a[1] *= -1  # numbers that are never negative need fewer
    x, w = held(a), held(b)
    assert product_bound(x, w) > 1 << 24
    result = product(x, w)
    assert [[int(n) for n in row] for row in result.array] == slow(a, b)
    (ends,) = w.columns.block_ends.values()
    assert len(ends) > 1
    assert ends[-1] == terms
    for start, end in zip((0, *ends), ends, strict=False):
        assert product_bound(x, held(b[start:end])) <= 1 << 24
        longer = b[start : end + 1]
        if end < terms:  # and as long as the shared plan, for 1024, allows
            assert 1024 * held(longer).columns.norm > 1 << 24


def test_few_rows_are_multiplied_in_float64_without_a_plan_of_blocks() -> None:
    a, b = one_long_sum(784, 1023, 411)
    for rows, planned in ((63, False), (64, True)):
        w = held(b)
        result = product(held(a[:rows]), w)
        assert [[int(n) for n in row] for row in result.array] == slow(a[:rows], b)
        assert bool(w.columns.block_ends) is planned


def test_a_block_past_its_end_would_be_wrong() -> None:
    a, b = one_long_sum(128, 1, (1 << 24) // 64 + 1)
    a[0, 0], b[0, 0] = 1, b[0, 0] + 1
    naive = (a.astype(np.float32) @ b.astype(np.float32)).astype(np.int64)
    assert naive.tolist() != slow(a, b)
    result = product(held(a), held(b))
    assert [[int(n) for n in row] for row in result.array] == slow(a, b)


def test_too_many_blocks_leave_it_to_float64() -> None:
    a, b = one_long_sum(128, 1 << 14, 1 << 9)
    w = held(b)
    assert [[int(n) for n in row] for row in product(held(a), w).array] == slow(a, b)
    assert w.columns.block_ends == {}


@pytest.mark.parametrize("largest", [1023, 1024, 1025])
def test_numbers_that_are_never_negative_are_taken_from_the_middle_of_their_range(largest: int) -> None:
    """Half the magnitude, half the blocks; both ends of the range, and odd summands."""
    rng = np.random.default_rng(2)
    a = np.where(rng.random((64, 784)) < 0.5, 0, largest)
    a[0], a[1] = largest, 0
    b = rng.choice([-411, 411], (784, 6))
    x, w = held(a), held(b)
    result = product(x, w)
    assert [[int(n) for n in row] for row in result.array] == slow(a, b)
    assert result.bound == product_bound(x, w)
    whole, half = w.columns.block_ends.items()
    assert whole[0] >= largest
    assert half[0] >= -(-largest // 2)
    assert len(half[1]) < len(whole[1]) if whole[1] else half[1]
    for start, end in zip((0, *half[1]), half[1], strict=False):
        assert half[0] * held(b[start:end]).columns.norm <= 1 << 24


@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_that_are_never_negative_leave_positive_and_negative_products_apart(sign: int) -> None:
    """Up to 2**24 of either sign in one float32, though their magnitudes add up to twice as much."""
    a = np.full((2, 128), 1 << 12)
    b = np.zeros((128, 2), np.int64)
    b[0::2, 0], b[1::2, 0] = 64, -64
    b[:, 1] = np.resize([1, -1, 1], 128)
    a[1, 1::2] = 0  # so that the sum is 2**24 itself
    x, w = held(a), held(sign * b)
    assert product_bound(x, w) == 1 << 25
    result = product(x, w)
    assert (result.array.dtype, result.bound) == (FLOAT32, 1 << 24)
    assert [[int(n) for n in row] for row in result.array] == slow(a, sign * b)
    b[0, 0] += 1  # one step past
    a[:, 0] -= 1
    x, w = held(a), held(sign * b)
    assert w.columns.one_sided * x.bound > 1 << 24
    result = product(x, w)
    assert result.array.dtype == FLOAT64
    assert [[int(n) for n in row] for row in result.array] == slow(a, sign * b)
    a[1, 1] = -1  # a negative number has the sum of magnitudes as its bound
    b[0, 0] -= 1
    assert product(held(a), held(sign * b)).array.dtype == FLOAT64


def test_sums_of_blocks_beyond_32_bits_are_exact() -> None:
    terms = 1 << 13
    a, b = one_long_sum(terms, (1 << 16) - 1, 11)
    b[:, 1] = -11
    assert 1 << 31 < product_bound(held(a), held(b)) < 1 << 33
    w = held(b)
    assert [[int(n) for n in row] for row in product(held(a), w).array] == slow(a, b)
    assert any(w.columns.block_ends.values())


def test_columns_of_zeros_are_left_out_and_come_back_as_zeros() -> None:
    rng = np.random.default_rng(3)
    for bits in (3, 9, 14, 26):
        a, b = (
            rng.integers(-(1 << bits), 1 << bits, (7, 300)),
            rng.integers(-(1 << bits), 1 << bits, (300, 40)),
        )
        b[:, [0, 3, 4, 17, 20, 30, 31, 38]] = 0
        w = held(b)
        assert [[int(n) for n in row] for row in product(held(a), w).array] == slow(a, b)
        assert w.columns.nonzero_columns is not None
        assert w.columns.nonzero_columns[0].array.shape == (300, 33)
        assert [[int(n) for n in row] for row in product(held(a), held(0 * b)).array] == slow(a, 0 * b)
    assert held(b[:20]).columns.nonzero_columns is None  # finding them would take longer


@pytest.mark.parametrize(("bits", "count"), [(24, 2), (24, 3), (24, 4), (24, 6), (53, 3), (53, 4)])
@pytest.mark.parametrize("outputs", [64, 65, 71])
def test_sums_of_few_bits_share_a_float_up_to_the_edge_of_their_fields(
    bits: int, count: int, outputs: int
) -> None:
    """Every field at its extremes, of either sign, beside every other."""
    rng = np.random.default_rng(4)
    field_bits = bits // count
    largest = (1 << (field_bits - 1)) - 1
    terms = max(128, largest) if bits == 24 else 512
    b = np.zeros((terms, outputs), np.int64)
    share = sum_of_ones(largest, terms)[1]  # of the largest sum, for each term
    b += share * rng.choice([-1, 1], outputs)
    b[:, ::5] *= rng.choice([-1, 1], (terms, len(range(0, outputs, 5))))
    a = rng.choice([-1, 1], (70, terms))
    a[0], a[1] = 1, -1
    x, w = held(a), held(b)
    assert product_bound(x, w) <= 1 << 24
    assert [[int(n) for n in row] for row in product(x, w).array] == slow(a, b)
    (packing,) = w.columns.packed
    assert (packing.count, packing.field_bits) == (count, field_bits)
    assert packing.dtype == (FLOAT32 if bits == 24 else FLOAT64)
    assert np.abs(product(x, w).array).max() == largest


def test_a_field_one_step_too_small_would_be_wrong() -> None:
    a, b = np.ones((64, 128), np.int64), np.zeros((128, 64), np.int64)
    b[:5, :] = 1
    naive = Packing(2, 3)  # 5 is more than half of 2**3
    sums = a.astype(np.float32) @ naive.packed(b.astype(np.float32))
    assert naive.unpacked(sums, 64).tolist() != slow(a, b)
    w = held(b)
    assert product(held(a), w).array.tolist() == slow(a, b)
    assert [packing.field_bits for packing in w.columns.packed] == [4]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 4), st.integers(60, 300), st.booleans())
def test_random_sums_of_few_bits_are_exact(
    seed: int, a_bits: int, b_bits: int, terms: int, signed: bool
) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(-(1 << a_bits) if signed else 0, 1 << a_bits, (66, terms))
    b = rng.integers(-(1 << b_bits), 1 << b_bits, (terms, 67)) * rng.integers(0, 2, 67)
    assert np.array_equal(product(held(a), held(b)).array.astype(np.int64), a @ b)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 18), st.integers(1, 18), st.integers(60, 400))
def test_random_sums_of_any_length_are_exact(seed: int, a_bits: int, b_bits: int, terms: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(-(1 << a_bits) * int(rng.integers(0, 2)), 1 << a_bits, (3, terms))
    b = rng.integers(-(1 << b_bits), 1 << b_bits, (terms, 4)) * rng.integers(0, 2, (terms, 4))
    assert [[int(n) for n in row] for row in product(held(a), held(b)).array] == slow(a, b)


@pytest.mark.parametrize("bits", [20, 31, 40, 52, 62])
def test_the_norm_is_exact_for_wide_weights(bits: int) -> None:
    matrix = np.array([[(1 << bits) - 1, 1], [-(1 << bits) + 1, 0], [1, 0]])
    norm = held(matrix).columns.norm
    assert norm == 2 * (1 << bits) - 1


wide_ints = st.integers(-(2**62), 2**62) | st.integers(0, 62).flatmap(
    lambda s: st.integers(-2, 2).map(lambda d: (1 << s) + d)
)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 62), st.integers(1, 62), st.integers(1, 9))
def test_words_add_up_modulo_2_64_for_any_width(
    data: st.DataObject, a_bits: int, b_bits: int, terms: int
) -> None:
    def matrix(bits: int, rows: int, columns: int) -> np.ndarray:
        entries = st.integers(-(1 << bits), (1 << bits) - 1)
        flat = data.draw(st.lists(entries, min_size=rows * columns, max_size=rows * columns))
        return np.array(flat, np.int64).reshape(rows, columns)

    a, b = matrix(a_bits, 2, terms), matrix(b_bits, terms, 2)
    expected = [[(n + 2**63) % 2**64 - 2**63 for n in row] for row in slow(a, b)]
    assert split_product(held(a), held(b)).tolist() == expected
    result = product(held(a), held(b))
    assert [[int(n) for n in row] for row in result.array] == expected


def test_every_word_of_wide_operands_takes_part() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-(2**31), 2**31, (5, 200)), rng.integers(-(2**23), 2**23, (200, 7))
    assert split_product(held(a), held(b)).tolist() == slow(a, b)


def test_groups_are_separate_products() -> None:
    rng = np.random.default_rng(1)
    for bits in (4, 20, 31):
        a, b = (
            rng.integers(-(1 << bits), 1 << bits, (3, 2, 5)),
            rng.integers(-(1 << bits), 1 << bits, (2, 5, 4)),
        )
        expected = np.concatenate([a[:, g].astype(object) @ b[g].astype(object) for g in (0, 1)], axis=1)
        assert [[int(n) for n in row] for row in product(held(a), held(b)).array] == expected.tolist()


def halves(largest: int, columns: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that are never negative, some of them zero; half of the weights' sum is of either sign."""
    a, b = np.full((2, 128), largest), np.zeros((128, columns), np.int64)
    b[0::2], b[1::2] = 64, -64
    a[1, 1::2] = 0
    return a, b


@pytest.mark.parametrize("kernels", ["numpy", ""])
def test_the_bound_of_a_product_that_waits_is_its_largest_sum(
    kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIXEDPOINT_NN_KERNELS", kernels)
    compiled = library.chosen().kernels is not None

    def waiting(a: np.ndarray, b: np.ndarray) -> int | None:
        deferred = deferred_product(held(a), held(b), (len(a), b.shape[1]))
        if deferred is None:
            return None
        assert [[int(n) for n in row] for row in deferred.array] == slow(a, b)
        return deferred.bound

    a, b = halves(1 << 11)
    assert product_bound(held(a), held(b)) == 1 << 24
    assert waiting(a, b) == product(held(a), held(b)).bound == 1 << 24
    a, b = halves((1 << 11) + 1)  # in two halves
    assert waiting(a, b) == product(held(a), held(b)).bound == (1 << 23) + (1 << 12)
    a, b = halves(1 << 12)
    assert waiting(a, b) == product(held(a), held(b)).bound == 1 << 24
    a, b = halves((1 << 12) + 1)
    assert waiting(a, b) == ((1 << 25) + (1 << 13) if compiled else None)
    assert product(held(a), held(b)).bound == (1 << 25) + (1 << 13)
    a, b = halves(1 << 12)
    a[0, 0] = -1  # a number below zero has the sum of magnitudes as its bound
    assert waiting(a, b) == (1 << 25 if compiled else None)
    assert product(held(a), held(b)).bound == 1 << 25


def test_what_is_no_matrix_does_not_wait() -> None:
    a, b = held(np.ones((4, 3))), held(np.ones((3, 5)))
    assert deferred_product(a, b, (4, 5)) is not None
    assert deferred_product(a, b, (2, 2, 5)) is not None
    assert deferred_product(a, b, (4,)) is None
    assert deferred_product(held(np.ones((2, 2, 3))), b, (2, 2, 5)) is None
    assert deferred_product(a, held(np.ones((1, 3, 5))), (4, 5)) is None
    assert deferred_product(a, held(np.ones(3)), (4,)) is None


@pytest.mark.parametrize(("a_bits", "b_bits"), [(1, 62), (62, 1), (31, 31), (40, 22), (26, 27), (62, 62)])
@pytest.mark.parametrize("terms", [1, 2, 5])
@pytest.mark.parametrize("sign", [1, -1])
def test_words_of_extreme_operands_add_up(a_bits: int, b_bits: int, terms: int, sign: int) -> None:
    a = np.array([[(1 << a_bits) - 1] * terms, [-(1 << a_bits)] * terms, [1, *[0] * (terms - 1)]])
    b = sign * np.array([[(1 << b_bits) - 1, -(1 << b_bits), 5]] * terms)
    expected = [[(n + 2**63) % 2**64 - 2**63 for n in row] for row in slow(a, b)]
    assert split_product(held(a), held(b)).tolist() == expected
    assert [
        [(int(n) + 2**63) % 2**64 - 2**63 for n in row] for row in product(held(a), held(b)).array
    ] == expected


@pytest.mark.parametrize(("rows", "outputs"), [(63, 64), (64, 63), (64, 64)])
@pytest.mark.parametrize("terms", [127, 128])
def test_only_large_products_share_floats(rows: int, outputs: int, terms: int) -> None:
    rng = np.random.default_rng(8)
    a, b = rng.integers(-1, 2, (rows, terms)), np.zeros((terms, outputs), np.int64)
    b[:7] = rng.integers(-1, 2, (7, outputs))
    b[0] = 1
    w = held(b)
    assert product(held(a), w).array.tolist() == slow(a, b)
    assert bool(w.columns.packed) is (rows >= 64 and outputs >= 64 and terms >= 128)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("terms", [60, 80, 81, 99, 100, 400])
def test_blocks_of_every_number_are_exact(signed: bool, terms: int) -> None:
    """Sums of full magnitude, odd, whose blocks end wherever the weights say."""
    rng = np.random.default_rng(terms)
    for bits in (9, 10, 11, 12, 13, 14):
        largest = (1 << bits) - 1
        a = np.full((3, terms), largest)
        a[1] = rng.integers(-largest if signed else 0, largest + 1, terms)
        a[2, ::2] = -largest if signed else 0
        b = np.stack([np.full(terms, largest), rng.integers(-largest, largest + 1, terms)], axis=1)
        b[::3, 0] //= 3
        assert [[int(n) for n in row] for row in product(held(a), held(b)).array] == slow(a, b)


@pytest.mark.parametrize("groups", [1, 2])
def test_sums_of_a_group_are_as_long_as_its_taps(groups: int) -> None:
    """Each product fits a float32, and so do as many as there are groups; the sum of all taps does not."""
    a, b = np.full((3, groups, 99), 1023), np.full((groups, 99, 2), 4095)
    a[1, :, ::2], b[:, 7, 1] = -1021, 4093
    x, w = held(a), held(b)
    assert product_bound(x, w) == 99 * 1023 * 4095
    expected = np.concatenate([a[:, g] @ b[g] for g in range(groups)], axis=1)
    assert (expected % 2 != 0).any()
    assert [[int(n) for n in row] for row in product(x, w).array] == expected.tolist()
