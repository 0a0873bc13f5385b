# SPDX-License-Identifier: MIT
"""Arithmetic per channel is what broadcasting along the last axis would give; on whole numbers, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numbers.tensor import channels
from fixedpoint_nn.numerics.arrays import Array

SHAPES = [(5,), (4, 3), (2, 6, 3), (2, 5, 4, 3), (2, 3, 4, 300), (3, 2, 1, 1), (0, 2, 3)]
shapes = pytest.mark.parametrize("shape", SHAPES)


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float32)


@shapes
@pytest.mark.parametrize("function", [np.add, np.subtract, np.multiply, np.maximum])
def test_each_is_broadcasting(shape: tuple[int, ...], function: np.ufunc) -> None:
    x, vector = numbers(*shape), numbers(shape[-1], seed=1)
    wanted = function(x, vector)
    assert np.array_equal(channels.each(function, x, vector), wanted)
    given = x.copy()
    assert channels.each(function, given, vector, out=given) is given
    assert np.array_equal(given, wanted)


@shapes
def test_sums_and_dots_run_over_all_axes_but_the_last(shape: tuple[int, ...]) -> None:
    a, b = numbers(*shape), numbers(*shape, seed=1)
    others = tuple(range(len(shape) - 1))
    assert np.array_equal(channels.sums(a), a.sum(others))
    assert np.array_equal(channels.dots(a, b), (a * b).sum(others))


def test_an_array_that_is_not_contiguous_is_read_in_its_order() -> None:
    x, vector = numbers(3, 4, 5, 2).transpose(0, 2, 1, 3), numbers(2, seed=1)
    assert np.array_equal(channels.each(np.add, x, vector), x + vector)
    assert np.array_equal(channels.sums(x), x.sum((0, 1, 2)))
    assert np.array_equal(channels.dots(x, x), (x * x).sum((0, 1, 2)))
