# SPDX-License-Identifier: MIT
"""Products wait for what is added to them, convolutions read no copied windows, and the integers stay the same."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer
from fixedpoint_nn.numbers.fixed.windows import ConvolutionRows, WindowedInts
from fixedpoint_nn.numerics.deferred_product import DeferredProduct, MatrixRows
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.numerics.qformat import QFormat

RNG = np.random.default_rng(0)
NO_EDGES = ((0, 0), (0, 0))


def fixed(*shape: int, format: QFormat = Q(5, 3)) -> FixedArray:
    return FixedArray.from_ints(RNG.integers(format.int_min, format.int_max + 1, shape), format)


X, W = fixed(40, 32), fixed(32, 16)
SUMS = X.ints @ W.ints  # with 6 fraction bits


@pytest.mark.parametrize("shape", [(40, 16), (16,)])
def test_a_sum_of_a_product_waits_and_a_difference_does_not(shape: tuple[int, ...]) -> None:
    c = fixed(*shape, format=Q(6, 6))
    for total in (X @ W + c, c + X @ W):
        assert isinstance(total._bounded, DeferredProduct) and total._bounded.waiting
        assert np.array_equal(total.ints, SUMS + c.ints)
    for difference, ints in ((X @ W - c, SUMS - c.ints), (c - X @ W, c.ints - SUMS)):
        assert not isinstance(difference._bounded, DeferredProduct)
        assert np.array_equal(difference.ints, ints)


def test_what_is_added_comes_to_the_products_binary_point_and_not_the_other_way() -> None:
    coarse, fine = fixed(16, format=Q(6, 2)), fixed(16, format=Q(6, 8))
    total = X @ W + coarse
    assert isinstance(total._bounded, DeferredProduct) and total._bounded.waiting
    assert np.array_equal(total.ints, SUMS + (coarse.ints << 4))
    finer = X @ W + fine
    assert not isinstance(finer._bounded, DeferredProduct)
    assert np.array_equal(finer.ints, (SUMS << 2) + fine.ints)


def test_a_convolution_reads_the_image_itself() -> None:
    image, weights = fixed(2, 6, 5, 3), fixed(12, 4)
    windows = image.windows((2, 2), (1, 1), NO_EDGES)
    flat = windows.reshape(2, 5, 4, 12)
    assert isinstance(flat._bounded, WindowedInts) and flat._bounded.flat
    product = flat @ weights
    assert isinstance(product._bounded, DeferredProduct)
    assert isinstance(product._bounded._plan.rows, ConvolutionRows)
    assert np.array_equal(product.ints, flat.ints @ weights.ints)
    other = windows.reshape(2, 20, 12)
    assert not isinstance(other._bounded, WindowedInts)
    assert np.array_equal(other.ints, flat.ints.reshape(2, 20, 12))
    assert np.array_equal((other @ weights).ints, product.ints.reshape(2, 20, 4))


def test_windows_with_other_edges_than_zero_or_more_axes_are_copied() -> None:
    image = fixed(2, 6, 5, 3)
    edged = image.windows((2, 2), (1, 1), ((0, 1), (0, 1)), lowest=True).reshape(2, 6, 5, 12)
    product = edged @ fixed(12, 4)
    assert isinstance(product._bounded, DeferredProduct)
    assert isinstance(product._bounded._plan.rows, MatrixRows)
    windows, few = image.windows((2, 2), (1, 1), NO_EDGES), fixed(3, 4)
    assert np.array_equal((windows @ few).ints, windows.ints @ few.ints)


def test_the_first_integer_outside_is_named_and_the_ends_are_inside() -> None:
    for outside in (16, -17):
        with pytest.raises(ValueError, match=f"^{outside}.*which holds -16 to 15$") as caught:
            FixedArray.from_ints([[-16, 15], [outside, 40]], Q(5, 0))
        assert "(1, 0)" in str(caught.value) or "[1, 0]" in str(caught.value)


def test_integers_are_rounded_and_counted_like_floats() -> None:
    with OverflowStats():
        found = FixedArray.from_float(np.array([3, 100, -100]), Quantizer(Q(4, 1)))
    assert found.ints.tolist() == [6, 15, -16]
