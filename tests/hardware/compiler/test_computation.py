# SPDX-License-Identifier: MIT
"""Memory for results and constants: whole rows, pixel after pixel, each distinct constant once."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.broadcasting import (
    broadcast_to,
    constant_expression,
    per_channel,
    repeated,
)
from fixedpoint_nn.hardware.compiler.builder import Builder
from fixedpoint_nn.hardware.compiler.computation import computation, has_rows_first, new_target, padded
from fixedpoint_nn.hardware.compiler.constants import Constants
from fixedpoint_nn.hardware.compiler.expression import Scale, load
from fixedpoint_nn.hardware.compiler.ir import Compute, Declare
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.strided_view import ALL_PADDING, Atom, Buffer, Register, View, dense_axes
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.qformat import Q

WORD = Q(8, 0)


def fixed(*shape: int) -> FixedArray:
    return FixedArray.from_ints(np.arange(int(np.prod(shape))).reshape(shape), WORD)


def view(*shape: int) -> View:
    strides = np.cumprod([1, *shape[:0:-1]])[::-1].tolist()
    return View(Buffer("x", 1000), 0, dense_axes(shape, strides), WORD)


def test_rows_are_whole() -> None:
    assert [padded(words, 4) for words in (0, 1, 4, 5, 8)] == [0, 4, 4, 8, 8]


@pytest.mark.parametrize(
    ("shape", "words", "stride", "strides"),
    [
        ((1, 5), 8, 5, (5, 1)),
        ((1, 1, 5), 8, 5, (5, 5, 1)),
        ((1, 2, 5), 16, 8, (16, 8, 1)),
        ((1, 3, 2, 5), 48, 8, (48, 16, 8, 1)),
        ((1, 3, 2, 4), 24, 4, (24, 8, 4, 1)),
        ((3, 5), 24, 8, (8, 1)),
        ((2, 3, 2, 5), 96, 8, (48, 16, 8, 1)),
    ],
)
def test_each_pixel_of_a_result_begins_a_row(
    shape: tuple[int, ...], words: int, stride: int, strides: tuple[int, ...]
) -> None:
    target, found = new_target("y", shape, 4)
    assert (target.buffer.name, target.buffer.words, target.offset, target.stride) == ("y", words, 0, stride)
    assert found == strides


def test_images_of_fewer_rows_than_samples_stand_row_by_row() -> None:
    assert [has_rows_first(shape) for shape in ((2, 1, 5, 3), (2, 2, 5, 3), (9, 5, 3))] == [
        True,
        False,
        False,
    ]
    target, strides = new_target("y", (4, 3, 2, 5), 4, rows_first=True)
    assert (target.buffer.words, target.stride, strides) == (192, 8, (16, 64, 8, 1))


def test_a_result_without_rows_has_no_gaps() -> None:
    target, strides = new_target("y", (1, 3, 2, 5), 4, in_rows=False)
    assert (target.buffer.words, target.stride, strides) == (32, 5, (30, 10, 5, 1))


def test_a_result_of_no_words_has_one_all_the_same() -> None:
    assert new_target("y", (1, 0), 1)[0].buffer.words == 1
    assert Builder(1).buffer("y", 0).words == 1


def test_one_word_without_an_axis_is_refused() -> None:
    with pytest.raises(LoweringError) as caught:
        new_target("y", (1,), 4)
    assert (
        str(caught.value)
        == "has one word for a sample, without an axis for it; keep the axis, as in x[:, 0:1]"
    )


def test_a_result_in_a_place_of_its_own_or_in_one_that_is_given() -> None:
    e = load(view(1, 3, 2, 5))
    item, made = computation(e, "name", "layer", (7,), 4)
    assert (item.name, item.layer, item.path, item.declares) == ("name", "layer", (7,), True)
    assert made.axes == ((), (Atom(3, 16),), (Atom(2, 8),), (Atom(5, 1),))
    assert (made.buffer, made.offset) == (item.target.buffer, 0)
    home = Target(Buffer("home", 200), 30, 20)
    item, made = computation(e, "name", "layer", (), 4, home, search=True, write=False)
    assert (item.target, item.declares, item.search, item.write) == (home, False, True, False)
    assert made.axes == ((), (Atom(3, 40),), (Atom(2, 20),), (Atom(5, 1),))
    assert (made.buffer, made.offset, made.format) == (home.buffer, 30, WORD)
    assert computation(load(view(1, 5)), "", "", (), 4, home)[1].axes == ((), (Atom(5, 1),))


def test_constants_stand_pixel_after_pixel() -> None:
    constants = Constants(4)
    one = constants.pixels(fixed(1, 5))
    assert one.buffer.constants == (0, 1, 2, 3, 4)
    assert one.buffer.words == 8
    assert one.axes == ((), (Atom(5, 1),))
    assert one.buffer.keep
    many = constants.pixels(fixed(1, 2, 2, 3))
    assert many.buffer.constants == (0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 9, 10, 11, 0)
    assert many.axes == ((), (Atom(2, 8),), (Atom(2, 4),), (Atom(3, 1),))
    scalar = constants.pixels(FixedArray.from_ints(np.int64(9), WORD))
    assert (scalar.buffer.constants, scalar.axes) == ((9,), ((),))
    assert constants.buffers == [one.buffer, many.buffer, scalar.buffer]


def test_a_matrix_stands_column_after_column() -> None:
    assert Constants(4).columns(fixed(2, 3)).constants == (0, 3, 1, 4, 2, 5)


def test_equal_constants_of_one_use_stand_there_once() -> None:
    constants = Constants(4)
    first = constants.pixels(fixed(1, 3)).buffer
    assert constants.pixels(fixed(3)).buffer is first
    assert constants.columns(fixed(3, 1)) is not first, "a table is not kept with them"
    assert constants.pixels(fixed(1, 4)).buffer is not first
    later = Constants(4, constants.buffers)
    assert later.pixels(fixed(1, 3)).buffer is first
    assert later.buffers == constants.buffers


def test_the_constants_of_a_builder_are_for_its_lanes_and_its_buffers_are_declared() -> None:
    builder = Builder(4)
    assert (builder.multiplier, builder.multiply_everywhere, builder.multiplied) == (0, False, False)
    builder.refused = "fc1"
    buffer, register = builder.buffer("y", 5, keep=True), Register(8)
    builder.registers(register)
    target, strides = builder.target((1, 2, 5), in_rows=False)
    assert (buffer.words, buffer.keep, strides) == (8, True, (10, 5, 1))
    declared = [(item.value, item.layer) for item in builder.items if isinstance(item, Declare)]
    assert declared == [(buffer, "fc1"), (register, "fc1"), (target.buffer, "fc1")]
    assert builder.target((1, 2, 5))[1] == (16, 8, 1)
    assert builder.constant(fixed(1, 2, 3)).buffer.words == 8


def test_a_block_of_a_builder_is_apart() -> None:
    builder = Builder(4)
    builder.buffer("before", 4)
    with builder.block() as body:
        builder.buffer("inside", 4)
    builder.buffer("after", 4)
    names = [
        [item.value.name for item in items if isinstance(item, Declare)] for items in (builder.items, body)
    ]  # type: ignore[union-attr]
    assert names == [["before", "after"], ["inside"]]


def test_a_fill_reads_padding_alone_and_adds_its_words_as_a_bias() -> None:
    builder = Builder(4)
    home = Target(Buffer("home", 40), 6, 3)
    builder.fill(FixedArray.from_ints(np.array([[5, -6, 7]]), Q(4, 2)), home)
    (item,) = builder.items
    assert isinstance(item, Compute)
    (term,) = item.expression.terms
    assert isinstance(term, Scale) and term.view.window == ALL_PADDING
    assert (term.weights.tolist(), term.frac, term.view.axes) == ([[0, 0, 0]], 2, ((), (Atom(3, 0),)))
    assert (item.target, item.expression.shape, item.expression.bias_frac) == (home, (1, 3), 2)
    assert item.expression.bias is not None and item.expression.bias.tolist() == [5, -6, 7]


def test_pixels_are_repeated_by_a_stride_of_0_and_channels_by_a_copy() -> None:
    builder, x = Builder(4), view(1, 1, 1, 5)
    assert broadcast_to(x, (1, 1, 1, 5), builder, ()) is x
    assert broadcast_to(x, (1, 3, 1, 5), builder, ()).axes == ((), (Atom(3, 0),), (), (Atom(5, 1),))
    assert broadcast_to(view(1, 5), (1, 2, 3, 5), builder, ()).axes == (
        (),
        (Atom(2, 0),),
        (Atom(3, 0),),
        (Atom(5, 1),),
    )
    assert broadcast_to(view(1, 2, 1, 5), (1, 2, 3, 5), builder, ()).axes == (
        (), (Atom(2, 5),), (Atom(3, 0),), (Atom(5, 1),),
    )  # fmt: skip
    assert builder.items == []
    wide = broadcast_to(view(1, 2, 1), (1, 2, 3), builder, (4,))
    (item,) = builder.items
    assert isinstance(item, Compute) and item.path == (4,)
    (term,) = item.expression.terms
    assert term.view.axes == ((), (Atom(2, 1),), (Atom(3, 0),))
    assert (wide.buffer, wide.axes) == (item.target.buffer, ((), (Atom(2, 4),), (Atom(3, 1),)))
    assert repeated(x, (1, 3, 1, 5), builder, ()).terms[0].view.axes[1] == (Atom(3, 0),)


def test_constants_of_every_channel_are_a_bias_and_others_are_in_memory() -> None:
    builder = Builder(4)
    assert [per_channel(fixed(*shape)) for shape in ((1,), (1, 3), (3,), (2, 3), (2, 1))] == [1, 1, 1, 0, 0]
    for value, shape, bias in (
        (fixed(3), (1, 2, 3), [0, 1, 2]),
        (fixed(1, 3), None, [0, 1, 2]),
        (FixedArray.from_ints(np.int64(4), WORD), None, [4]),
        (FixedArray.from_ints(np.array([4]), WORD), (1, 3), [4, 4, 4]),
    ):
        e = constant_expression(value, builder, shape)
        assert e.parts == ((),)
        assert e.bias is not None and e.bias.tolist() == bias
        assert (e.shape, e.bias_frac) == (value.shape if shape is None else shape, 0)
    stored = constant_expression(fixed(1, 2, 3), builder, (1, 2, 2, 3))
    assert stored.bias is None
    assert stored.terms[0].view.axes == ((), (Atom(2, 0),), (Atom(2, 4),), (Atom(3, 1),))
