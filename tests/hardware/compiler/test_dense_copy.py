# SPDX-License-Identifier: MIT
"""A value in another order is copied in pieces that a run can walk through: the same words, without gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.builder import Builder
from fixedpoint_nn.hardware.compiler.dense_copy import MOST_PIECES, dense, in_rows, is_flattened, walkable
from fixedpoint_nn.hardware.compiler.ir import Compute
from fixedpoint_nn.hardware.compiler.kernel_selection import pixel_atoms
from fixedpoint_nn.hardware.compiler.strided_view import ALL_PADDING, Atom, Buffer, Register, View, dense_axes
from fixedpoint_nn.numerics.qformat import Q

WORD = Q(8, 0)


def view(shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> View:
    return View(Buffer("x", 9999), offset, dense_axes(shape, strides), WORD)


def words(view: View) -> np.ndarray:
    """The offsets of a value's words, in its shape."""
    total = np.zeros(1, np.int64)
    for atom in [atom for axis in view.axes for atom in axis]:
        total = (total[:, None] + np.arange(atom.size) * atom.stride).reshape(-1)
    return view.offset + total.reshape(view.shape)


def copies(builder: Builder) -> list[Compute]:
    return [item for item in builder.items if isinstance(item, Compute)]


@pytest.mark.parametrize(
    ("shape", "strides", "pieces"),
    [
        ((1, 3, 5), (0, 7, 1), 1),
        ((1, 2, 3, 5), (0, 50, 9, 1), 1),
        ((1, 2, 3, 2, 5), (0, 10, 100, 1000, 1), 2),
        ((1, 3, 2, 2, 4, 5), (0, 5, 500, 50, 2000, 1), 6),
    ],
)
def test_a_copy_holds_the_values_words_in_order(
    shape: tuple[int, ...], strides: tuple[int, ...], pieces: int
) -> None:
    builder = Builder(4)
    x = view(shape, strides, offset=3)
    made = dense(builder, x, (9,))
    assert made.shape == shape
    assert len(copies(builder)) == pieces
    where = {}
    for item in copies(builder):
        (term,) = item.expression.terms
        assert item.path == (9,)
        assert len(pixel_atoms(term.view.axes[:-1])) <= 2, "the engine has two loops over pixels"
        rows = words(term.view).reshape(-1, 5)
        for number, row in enumerate(rows):
            for channel, word in enumerate(row):
                where[item.target.offset + number * item.target.stride + channel] = word
    assert np.array_equal(np.vectorize(where.__getitem__)(words(made)), words(x))
    assert len(where) == words(x).size
    assert made.axes[-2][0].stride == 8, "each pixel begins a row"


def test_what_one_run_walks_through_stays_where_it_is() -> None:
    builder = Builder(4)
    two = view((1, 2, 3, 5), (0, 50, 9, 1))
    assert walkable(builder, two, ()) is two
    three = view((1, 2, 3, 2, 5), (0, 10, 100, 1000, 1))
    padded = replace(three, window=ALL_PADDING)
    assert walkable(builder, padded, ()) is padded
    assert builder.items == []
    assert walkable(builder, three, ()).shape == three.shape
    assert len(copies(builder)) == 2
    merged = view((1, 2, 3, 2, 5), (0, 60, 20, 10, 1))
    assert walkable(builder, merged, ()) is merged, "its pixels are equally far apart"


def test_a_window_is_copied_in_one_piece() -> None:
    builder = Builder(4)
    dense(builder, replace(view((1, 2, 3, 2, 5), (0, 10, 100, 1000, 1)), window=ALL_PADDING), ())
    assert len(copies(builder)) == 1


def test_as_many_pieces_as_are_allowed_and_no_more() -> None:
    builder = Builder(4)
    dense(builder, view((1, MOST_PIECES, 2, 2, 5), (0, 10, 100, 7, 1)), ())
    assert len(copies(builder)) == MOST_PIECES
    with pytest.raises(LoweringError) as caught:
        dense(builder, view((1, MOST_PIECES + 1, 2, 2, 5), (0, 10, 100, 7, 1)), ())
    assert str(caught.value) == (
        "walks through a value of shape (1, 513, 2, 2, 5) in another order in 513 pieces, and 512 is the most; move "
        "fewer axes at once"
    )


def test_an_image_is_flattened_if_its_rows_or_columns_are_several_loops() -> None:
    two, one = (Atom(2, 50), Atom(3, 7)), (Atom(4, 5),)
    plain = View(Buffer("x", 999), 0, ((), one, one, one), WORD)
    assert is_flattened(plain) is False
    assert is_flattened(replace(plain, axes=((), two, one, one))) is True
    assert is_flattened(replace(plain, axes=((), one, two, one))) is True
    assert is_flattened(replace(plain, axes=((), one, one, two))) is False, "channels are no rows"
    assert is_flattened(replace(plain, axes=(two, one, one, one))) is False
    assert is_flattened(replace(plain, axes=((), (), (), one))) is False
    assert is_flattened(replace(plain, axes=((), (Atom(2, 50), Atom(10, 5)), one, one))) is False, "one walk"


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "register", "expected"),
    [
        ((1, 3, 5), (0, 8, 1), 0, None, True),
        ((1, 3, 5), (0, 8, 1), 8, None, True),
        ((1, 3, 5), (0, 8, 1), 2, None, False),
        ((1, 3, 5), (0, 6, 1), 0, None, False),
        ((1, 3, 5), (0, 8, 2), 0, None, False),
        ((1, 3, 1), (0, 8, 1), 0, None, False),
        ((1, 5), (0, 1), 0, None, True),
        ((1, 5), (0, 1), 0, Register(8), True),
        ((1, 5), (0, 1), 0, Register(6), False),
    ],
)
def test_rows_begin_where_a_row_of_the_memory_does(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int, register: Register | None, expected: bool
) -> None:
    x = view(shape, strides, offset)
    moved = replace(x, buffer=Buffer("x", 9999, loop_register=register))
    assert in_rows(moved, 4) is expected
