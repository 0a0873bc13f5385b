# SPDX-License-Identifier: MIT
"""Where constants stand in the activation memory: pixel by pixel, column by column, or in rows of a power of two."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q
from fixedpoint_nn.hardware.compiler.constants import Constants, row_bits
from fixedpoint_nn.hardware.compiler.strided_view import View


def constant(*shape: int) -> FixedArray:
    return FixedArray.from_ints(np.arange(int(np.prod(shape, dtype=int))).reshape(shape) - 3, Q(6, 2))


def words_of(view: View) -> np.ndarray:
    """What the view reads, by its offsets."""
    offsets = np.array(view.offset)
    for axis in view.axes:
        of_axis = np.array(0)
        for atom in axis:
            of_axis = np.add.outer(of_axis, atom.stride * np.arange(atom.size))
        offsets = np.add.outer(offsets, of_axis.reshape(-1))
    assert view.buffer.constants is not None
    return np.array(view.buffer.constants)[offsets]


@pytest.mark.parametrize(
    ("width", "bits"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (255, 8), (256, 8), (257, 9)]
)
def test_rows_are_the_next_power_of_two_apart(width: int, bits: int) -> None:
    assert row_bits(width) == bits


@pytest.mark.parametrize(
    ("shape", "words"),
    [((), 1), ((6,), 6), ((1, 6), 6), ((1, 1, 6), 6), ((2, 6), 16), ((2, 3, 5), 48), ((1, 2, 3, 1), 24)],
)
def test_a_constant_of_one_pixel_is_dense_and_more_pixels_begin_in_rows(
    shape: tuple[int, ...], words: int
) -> None:
    value = constant(*shape)
    view = Constants(4).pixels(value)
    assert (view.format, view.shape) == (value.format, shape or (1,))
    assert view.buffer.constants is not None
    assert (len(view.buffer.constants), view.buffer.words) == (words, -(-words // 4) * 4)
    assert np.array_equal(words_of(view).reshape(shape), value.ints)
    assert view.buffer.keep


def test_a_matrix_stands_column_by_column_or_in_rows() -> None:
    matrix, constants = constant(3, 5), Constants(4)
    columns, rows = constants.columns(matrix), constants.rows(matrix)
    assert columns.constants == tuple(matrix.ints.T.reshape(-1).tolist())
    assert rows.constants is not None
    assert np.array_equal(np.array(rows.constants).reshape(3, 8)[:, :5], matrix.ints)
    assert not np.array(rows.constants).reshape(3, 8)[:, 5:].any()
    assert (columns.words, rows.words) == (16, 24)


def test_each_distinct_constant_is_there_once() -> None:
    constants = Constants(4)
    one = constants.pixels(constant(2, 6)).buffer
    assert constants.pixels(constant(2, 6)).buffer is one
    other = constants.pixels(constant(2, 5)).buffer
    assert constants.buffers == [one, other]
    again = Constants(4, constants.buffers)
    assert again.pixels(constant(2, 6)).buffer is one
    assert again.buffers == [one, other]
