# SPDX-License-Identifier: MIT
"""Windows are read element by element by the oracle here, and their transpose is checked by what defines it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn.numbers import sliding_windows
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
from fixedpoint_nn.numerics import matmul
from fixedpoint_nn.numerics.arrays import Array


def windows_one_by_one(
    array: Array, kernel: Pair, stride: Pair, padding: Padding, groups: int, dilation: Pair, fill: int
) -> Array:
    batch, height, width, channels = array.shape
    _, rows, columns, *_ = sliding_windows.windows_shape(
        array.shape, kernel, stride, padding, groups, dilation
    )
    per_group = channels // groups
    result = np.empty((batch, rows, columns, groups, kernel[0] * kernel[1], per_group), array.dtype)
    for n, y, x, group, ky, kx, c in product(*map(range, (batch, rows, columns, groups, *kernel, per_group))):
        row = y * stride[0] + ky * dilation[0] - padding[0][0]
        column = x * stride[1] + kx * dilation[1] - padding[1][0]
        inside = 0 <= row < height and 0 <= column < width
        value = array[n, row, column, group * per_group + c] if inside else fill
        result[n, y, x, group, ky * kernel[1] + kx, c] = value
    return result[:, :, :, 0] if groups == 1 else result


small = st.integers(1, 3)
pads = st.tuples(st.integers(0, 2), st.integers(0, 2))
cases = st.tuples(
    st.tuples(small, small),
    st.tuples(small, small),
    st.tuples(pads, pads),
    st.sampled_from([1, 2, 4]),
    st.tuples(st.integers(1, 2), st.sampled_from([1, 1, 2])),
)


def numbers(*shape: int) -> Array:
    return np.random.default_rng(0).integers(-9, 10, shape)


@settings(deadline=None, max_examples=60)
@given(cases, st.sampled_from([0, -100]))
def test_every_element_of_every_window_is_the_pixel_that_lies_there(
    case: tuple[Pair, Pair, Padding, int, Pair], fill: int
) -> None:
    image = numbers(2, 5, 5, 4)
    *others, dilation = case
    found = sliding_windows.windows(image, *others, fill, dilation)
    assert np.array_equal(found, windows_one_by_one(image, *case, fill))
    assert found.shape == sliding_windows.windows_shape(image.shape, *case)


@settings(deadline=None, max_examples=60)
@given(cases)
def test_add_windows_is_the_transpose_of_windows(case: tuple[Pair, Pair, Padding, int, Pair]) -> None:
    image = numbers(2, 5, 5, 4)
    gradient = numbers(*sliding_windows.windows_shape(image.shape, *case))
    back = sliding_windows.add_windows(gradient, image.shape, *case)
    assert back.shape == image.shape
    *others, dilation = case
    windows = sliding_windows.windows(image, *others, dilation=dilation)
    assert (windows * gradient).sum() == (image * back).sum()


def test_a_group_meets_only_its_own_matrix() -> None:
    rows, matrix = numbers(3, 5, 2, 4), numbers(2, 4, 3)
    found = matmul.grouped_matmul(rows, matrix)
    assert np.array_equal(
        found, np.concatenate([rows[..., 0, :] @ matrix[0], rows[..., 1, :] @ matrix[1]], -1)
    )


def test_one_group_is_a_plain_product() -> None:
    rows, matrix = numbers(3, 5, 4), numbers(4, 3)
    assert np.array_equal(matmul.grouped_matmul(rows, matrix), rows @ matrix)


def test_a_window_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError) as error:
        sliding_windows.windows(numbers(1, 3, 3, 1), (5, 5), (1, 1), ((0, 1), (0, 1)))
    assert str(error.value) == (
        "a window of 5 does not fit into 3 elements padded by 0 and 1; use a smaller kernel or more padding"
    )


def test_windows_of_something_that_is_no_image_are_an_error() -> None:
    with pytest.raises(ValueError) as error:
        sliding_windows.windows(numbers(3, 3), (1, 1), (1, 1), ((0, 0), (0, 0)))
    assert (
        str(error.value) == "windows need an array (batch, height, width, channels), not one of shape (3, 3)"
    )


def test_channels_that_do_not_divide_into_groups_are_an_error() -> None:
    with pytest.raises(ValueError) as error:
        sliding_windows.windows(numbers(1, 3, 3, 3), (1, 1), (1, 1), ((0, 0), (0, 0)), 2)
    assert str(error.value) == "3 channels do not divide into 2 groups"
