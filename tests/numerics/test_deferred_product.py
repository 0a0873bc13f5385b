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
from fixedpoint_nn.numerics.bounded_ints import FLOAT32_EXACT
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
