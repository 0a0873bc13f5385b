# SPDX-License-Identifier: MIT
"""A deferred product gives the integers of the written-out steps, for every rounding, overflow and shift."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn import FixedArray, Overflow, Q, QFormat, Quantizer, Rounding
from fixedpoint_nn.numbers.sliding_windows import windows
from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.bounded_ints import FLOAT32_EXACT, BoundedInts
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.deferred_product import DeferredProduct
from fixedpoint_nn.numerics.native import library


@pytest.fixture(autouse=True, params=["numpy", "c"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test here runs with NumPy alone and with the compiled kernels."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "c" and not library.available():
            pytest.skip("the package was built without a C compiler")
        patch.setenv(library.VARIABLE, request.param)
        yield request.param


MODES = [(rounding, overflow) for rounding in Rounding for overflow in Overflow]


def written_out(ints: np.ndarray, frac: int, relu: bool, quantizer: Quantizer) -> np.ndarray:
    """In int64, one step after the other."""
    total = np.maximum(ints, 0) if relu else ints
    return convert(
        total, quantizer.format.frac_bits - frac, quantizer.format, quantizer.rounding, quantizer.overflow
    )


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
    rows, taps, outputs = (draw(st.integers(1, 6)) for _ in range(3))
    bits = draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    x = rng.integers(0 if draw(st.booleans()) else low, high + 1, (rows, taps))
    w = rng.integers(low, high + 1, (taps, outputs))
    b = rng.integers(-(1 << 12), 1 << 12, outputs)
    return x, w, b, draw(st.integers(-2, 6)), draw(st.integers(-2, 6))


@pytest.mark.parametrize(("rounding", "overflow"), MODES, ids=lambda mode: mode.name)
@given(
    problem=problems(),
    relu=st.booleans(),
    word=st.integers(2, 12),
    frac=st.integers(-4, 14),
    signed=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_the_fused_pass_equals_the_steps(rounding, overflow, problem, relu, word, frac, signed) -> None:
    x, w, b, x_frac, w_frac = problem
    point = x_frac + w_frac
    out = Quantizer(QFormat(word - frac, frac, signed), rounding, overflow)
    a = FixedArray.from_ints(x, QFormat(10 - x_frac, x_frac))
    y = a @ FixedArray.from_ints(w, QFormat(10 - w_frac, w_frac))
    y = y + FixedArray.from_ints(b, QFormat(14 - point, point))
    assert isinstance(y._bounded, DeferredProduct)
    assert y._bounded.waiting
    y = (y.relu() if relu else y).cast(out)
    assert not isinstance(y._bounded, DeferredProduct)
    assert np.array_equal(y.ints, written_out(x @ w + b, point, relu, out))


def product(bound: int = 7) -> tuple[FixedArray, np.ndarray]:
    rng = np.random.default_rng(3)
    x, w = rng.integers(-bound, bound + 1, (40, 30)), rng.integers(-bound, bound + 1, (30, 20))
    return FixedArray.from_ints(x, Q(8, 4)) @ FixedArray.from_ints(w, Q(8, 4)), x @ w


def test_whoever_looks_at_a_product_sees_its_integers() -> None:
    y, expected = product()
    assert y.shape == expected.shape
    assert (y.ndim, y.size, len(y)) == (2, 800, 40)
    assert np.array_equal(y[3].ints, expected[3])
    assert np.array_equal(y.ints, expected)
    assert np.array_equal((y + y).ints, 2 * expected)
    assert np.array_equal((y.relu() - y).ints, np.maximum(expected, 0) - expected)


def test_a_product_that_is_cast_twice_is_computed_once_more_and_then_kept() -> None:
    y, expected = product()
    first, second, third = (y.cast(Quantizer(Q(4, frac))) for frac in (2, 3, 2))
    assert np.array_equal(first.ints, third.ints)
    assert not y._bounded.waiting
    for cast, frac in ((first, 2), (second, 3)):
        assert np.array_equal(cast.ints, written_out(expected, 8, False, Quantizer(Q(4, frac))))


def test_a_sum_of_two_products_is_exact() -> None:
    (y, one), (z, other) = product(), product(5)
    assert np.array_equal((y + z).cast(Quantizer(Q(20, 8))).ints, one + other)


def test_a_whole_matrix_may_be_added_before_the_cast() -> None:
    y, expected = product()
    added = np.arange(800).reshape(40, 20)
    z = FixedArray.from_ints(added, Q(16, 8)) + y
    assert isinstance(z._bounded, DeferredProduct)
    assert np.array_equal(
        z.cast(Quantizer(Q(20, 4))).ints, written_out(expected + added, 8, False, Quantizer(Q(20, 4)))
    )


def test_a_sum_that_float32_does_not_hold_waits_for_the_compiled_kernels_only(kernels: str) -> None:
    x = FixedArray.from_ints(np.full((2, 64), 1023), Q(11, 0))
    w = FixedArray.from_ints(np.full((64, 3), 1023), Q(11, 0))
    y = x @ w
    assert FLOAT32_EXACT < 64 * 1023 * 1023
    assert isinstance(y._bounded, DeferredProduct) == (kernels == "c")
    narrow = Quantizer(Q(9, 0), Rounding.FLOOR, Overflow.WRAP)
    assert (
        y.cast(narrow).ints
        == convert(np.array([64 * 1023 * 1023]), 0, Q(9, 0), narrow.rounding, narrow.overflow)
    ).all()
    assert (y.ints == 64 * 1023 * 1023).all()


def test_a_bias_beyond_float32_ends_the_deferral() -> None:
    y, expected = product()
    b = np.arange(20) + (1 << 30)
    z = y + FixedArray.from_ints(b, Q(30, 8))
    assert not isinstance(z._bounded, DeferredProduct) or z._bounded.bound <= library.SUM_LIMIT
    assert np.array_equal(z.ints, expected + b)


def test_statistics_see_the_sums_before_they_are_rounded() -> None:
    y, expected = product()
    with overflow_stats.OverflowStats() as stats:
        cast = y.cast(Quantizer(Q(3, 4), name="here"))
    assert np.array_equal(cast.ints, written_out(expected, 8, False, Quantizer(Q(3, 4))))
    rounded = convert(expected, -4, Q(30, 4), Rounding.HALF_EVEN, Overflow.SATURATE)
    assert stats["here"].saturated == int(((rounded > 63) | (rounded < -64)).sum())


@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 1), (1, 1)), ((0, 2), (1, 0))])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_a_convolution_in_blocks_equals_its_windows_times_the_weights(padding, stride, channels) -> None:
    rng = np.random.default_rng(0)
    images, w = rng.integers(-8, 8, (5, 6, 7, channels)), rng.integers(-8, 8, (6 * channels, 4))
    x = FixedArray.from_ints(images, Q(4, 0))
    slid = x.windows((3, 2), stride, padding)
    plain = windows(images, (3, 2), stride, padding)
    flat = (*slid.shape[:3], 6 * channels)
    y = slid.reshape(*flat).dot(FixedArray.from_ints(w, Q(4, 0)))
    assert np.array_equal(y.cast(Quantizer(Q(20, 0))).ints, plain.reshape(flat) @ w)
    assert np.array_equal(y.ints, plain.reshape(flat) @ w)
    assert np.array_equal(slid.ints, plain)
    assert np.array_equal(slid.sum(axis=3).ints, plain.sum(axis=3))
    lowest = x.windows((3, 2), stride, padding, lowest=True)
    assert np.array_equal(
        lowest.max(axis=3).ints, windows(images, (3, 2), stride, padding, 1, -8).max(axis=3)
    )


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_products_with_a_vector_keep_their_shape(rows: int) -> None:
    x, w = np.arange(rows * 5).reshape(rows, 5) - 9, np.arange(5) - 2
    a, b = FixedArray.from_ints(x, Q(8, 0)), FixedArray.from_ints(w, Q(8, 0))
    added = FixedArray.from_ints(np.arange(rows), Q(8, 0))
    assert np.array_equal((a @ b + added).cast(Quantizer(Q(16, 0))).ints, x @ w + np.arange(rows))
    assert np.array_equal((a[0] @ b).cast(Quantizer(Q(16, 0))).ints, x[0] @ w)


@pytest.mark.parametrize("relu", [False, True])
def test_an_odd_sum_beyond_float32_is_exact_to_whoever_looks(relu: bool) -> None:
    x, w = np.full((4, 9), 1023), np.full((9, 5), 4095)
    x[1], w[3, 1], w[5, 2] = -1021, 7, -4095
    y = FixedArray.from_ints(x, Q(13, 0)) @ FixedArray.from_ints(w, Q(13, 0))
    b = np.array([1, 2, 3, -4, 5])
    z = y + FixedArray.from_ints(b, Q(5, 0))
    expected = np.maximum(x @ w + b, 0) if relu else x @ w + b
    assert np.abs(x @ w + b).max() > FLOAT32_EXACT
    assert ((x @ w + b) % 2 != 0).any()
    assert np.array_equal((z.relu() if relu else z).ints, expected)
    assert np.array_equal((y.relu() if relu else y).ints, np.maximum(x @ w, 0) if relu else x @ w)


@pytest.mark.parametrize("added", [(5,), (3, 5), (2, 3, 5), (1, 5), (1,), (2, 1, 1)])
@pytest.mark.parametrize("relu", [False, True])
def test_whatever_broadcasts_is_added_to_a_product_of_three_axes(added: tuple[int, ...], relu: bool) -> None:
    rng = np.random.default_rng(4)
    x, w, b = (rng.integers(-8, 8, shape) for shape in ((2, 3, 4), (4, 5), added))
    y = FixedArray.from_ints(x, Q(4, 0)) @ FixedArray.from_ints(w, Q(4, 0))
    z = y + FixedArray.from_ints(b, Q(4, 0))
    out = Quantizer(Q(6, -2), Rounding.HALF_AWAY)
    assert np.array_equal((z.relu() if relu else z).cast(out).ints, written_out(x @ w + b, 0, relu, out))


def test_addends_of_both_kinds_and_in_any_number_are_added() -> None:
    y, expected = product()
    lines = [np.arange(20) * step - 9 for step in (1, -3, 5)]
    matrices = [np.arange(800).reshape(40, 20) % step - 3 for step in (7, 11, 13)]
    for added in (lines, matrices, lines + matrices, [*lines[:1], *matrices[:1]], lines[:2], matrices[:2]):
        z = y
        for one in added:
            z = z + FixedArray.from_ints(one, Q(16, 8))
        out = Quantizer(Q(8, 5), Rounding.HALF_UP)
        total = expected + sum(added)
        assert np.array_equal(z.cast(out).ints, written_out(total, 8, False, out))
        assert np.array_equal(z.ints, total)


def test_nothing_is_added_after_a_relu_but_to_its_result() -> None:
    y, expected = product()
    b = np.arange(20) - 30
    z = y.relu() + FixedArray.from_ints(b, Q(8, 8))
    out = Quantizer(Q(12, 8))
    assert np.array_equal(z.cast(out).ints, written_out(np.maximum(expected, 0) + b, 8, False, out))


@pytest.mark.parametrize("rows", ["every second column", "every second row", "turned"])
def test_rows_of_any_stride_are_multiplied(rows: str) -> None:
    rng = np.random.default_rng(5)
    x, w = rng.integers(-8, 8, (16, 16)), rng.integers(-8, 8, (16, 6))
    a = FixedArray.from_ints(x, Q(4, 0))
    if rows == "turned":
        a, x = a.transpose(1, 0), x.T
    elif rows == "every second row":
        a, x = a[::2], x[::2]
    else:
        a, x, w = a[:, 1::2], x[:, 1::2], w[:8]
    y = a @ FixedArray.from_ints(w, Q(4, 0))
    out = Quantizer(Q(6, -1), Rounding.FLOOR)
    assert np.array_equal(y.cast(out).ints, written_out(x @ w, 0, False, out))
    assert np.array_equal(y.ints, x @ w)


@pytest.mark.parametrize("shift", [-61, -60, -31, -30, -29, -1, 0, 1, 30, 60, 61])
@pytest.mark.parametrize("overflow", Overflow)
def test_products_are_cast_by_any_shift(shift: int, overflow: Overflow) -> None:
    y, expected = product(15)
    for rounding in (Rounding.FLOOR, Rounding.HALF_EVEN):
        frac = 8 + shift
        out = Quantizer(QFormat(16 - frac, frac), rounding, overflow)
        for z, exact in ((y, expected), (y.relu(), np.maximum(expected, 0))):
            assert np.array_equal(z.cast(out).ints, written_out(exact, 8, False, out))


def waiting(bound: int | None = None) -> DeferredProduct:
    """A product that waits, as if its sums were at most `bound`."""
    deferred = product()[0]._bounded
    assert isinstance(deferred, DeferredProduct)
    return deferred if bound is None else DeferredProduct(deferred._plan, deferred.shape, bound)


@pytest.mark.parametrize("shift", [-61, -60, -59, -31, -30, -29, 0, 1, 59, 60, 61])
def test_a_cast_is_fused_as_far_as_floats_and_kernels_reach(shift: int, kernels: str) -> None:
    compiled = kernels == "c" and -library.MOST_SHIFT <= shift <= 0
    for bits, narrow in ((4, True), (25, True), (26, False)):
        quantizer = Quantizer(QFormat(bits, 0))
        assert waiting(FLOAT32_EXACT).can_requantize(shift, quantizer) is (
            narrow and (compiled or abs(shift) <= 60)
        )
        assert waiting(FLOAT32_EXACT + 1).can_requantize(shift, quantizer) is (narrow and compiled)


def test_a_product_is_fused_once_and_only_while_nobody_has_looked() -> None:
    quantizer = Quantizer(Q(4, 4))
    y, looked_at = waiting(), waiting()
    assert y.signed
    assert y.can_requantize(-4, quantizer)
    y.requantized(-4, quantizer, False, 128)
    assert y.waiting
    assert not y.can_requantize(-4, quantizer)
    assert looked_at.array.shape == (40, 20)
    assert not looked_at.waiting
    assert not looked_at.can_requantize(-4, quantizer)
    line = BoundedInts.of(np.arange(20))
    assert not looked_at.can_add(line, 100)
    assert y.can_add(line, 100)
    assert not y.relu().can_add(line, 100)


def test_what_waits_takes_addends_within_its_floats(kernels: str) -> None:
    most = library.SUM_LIMIT if kernels == "c" else FLOAT32_EXACT
    line, matrix = np.arange(20), np.arange(800).reshape(40, 20)
    for ints in (line, matrix):
        assert waiting().can_add(BoundedInts(ints, FLOAT32_EXACT), most)
        assert not waiting().can_add(BoundedInts(ints, FLOAT32_EXACT), most + 1)
        assert not waiting().can_add(BoundedInts(ints, FLOAT32_EXACT + 1), most)
    for other in (np.arange(1), np.arange(40)[:, None], matrix[None]):
        assert not waiting().can_add(BoundedInts.of(other), 100)
    assert waiting().plus(BoundedInts.of(line), 99).bound == 99
    assert waiting(77).relu().bound == 77


def test_a_convolution_whose_sums_float32_does_not_hold_is_exact_to_whoever_looks() -> None:
    rng = np.random.default_rng(6)
    images, w = rng.integers(1, 1024, (3, 5, 6, 2)), rng.integers(2000, 4096, (12, 5))
    slid = FixedArray.from_ints(images, Q(12, 0)).windows((3, 2), (1, 1), ((1, 0), (0, 1)))
    rows = windows(images, (3, 2), (1, 1), ((1, 0), (0, 1))).reshape(*slid.shape[:3], 12)
    y = slid.reshape(*rows.shape).dot(FixedArray.from_ints(w, Q(13, 0)))
    assert (rows @ w).max() > FLOAT32_EXACT
    assert np.array_equal(y.ints, rows @ w)
    assert np.array_equal((y + y).ints, 2 * (rows @ w))


def test_columns_of_zeros_are_left_out_of_a_wide_convolution() -> None:
    rng = np.random.default_rng(7)
    images, w = rng.integers(1, 1024, (2, 4, 5, 8)), np.zeros((48, 8), np.int64)
    w[:, 2] = rng.integers(2000, 4096, 48)
    geometry = ((3, 2), (1, 1), ((1, 0), (0, 1)))
    rows = windows(images, *geometry)
    rows = rows.reshape(*rows.shape[:3], 48)
    y = FixedArray.from_ints(images, Q(12, 0)).windows(*geometry).reshape(*rows.shape)
    z = y.dot(FixedArray.from_ints(w, Q(13, 0)))
    assert (rows @ w).max() > FLOAT32_EXACT
    assert np.array_equal(z.ints, rows @ w)
