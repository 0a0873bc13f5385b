# SPDX-License-Identifier: MIT
"""Loops of a kernel on the engine's six, and the blocks that a host reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.engine_sizing import _bits, _range_bits
from fixedpoint_nn.hardware.compiler.host_port import blocks
from fixedpoint_nn.hardware.compiler.kernel import ONE, Kernel, Placement, Target, place_pixels, place_taps
from fixedpoint_nn.hardware.compiler.strided_view import (
    ALL_PADDING,
    ZERO_REGISTER,
    Atom,
    Buffer,
    Register,
    View,
)
from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.numerics.qformat import Q
from tests.support.kernels import kernel, row


def test_taps_of_a_window_are_its_named_loops_and_the_channel() -> None:
    ky, kx, channel = Atom(3, 20, "ky"), Atom(2, 4, "kx"), Atom(4, 1)
    assert place_taps([ky, kx, channel]) == [channel, kx, ky]
    assert place_taps([ky, kx]) == [ONE, kx, ky]
    assert place_taps([kx, channel]) == [channel, kx, ONE]
    assert place_taps([ky]) == [ONE, ONE, ky]


def test_other_taps_are_placed_from_the_innermost_on() -> None:
    a, b, c = Atom(5, 100), Atom(6, 10), Atom(7, 1)
    assert place_taps([]) == [ONE, ONE, ONE]
    assert place_taps([a]) == [a, ONE, ONE]
    assert place_taps([a, b]) == [b, a, ONE]
    assert place_taps([a, b, c]) == [c, b, a]


@pytest.mark.parametrize(
    ("size", "split"),
    [
        (256, None),
        (257, None),
        (258, (129, 2)),
        (512, (256, 2)),
        (65536, (256, 256)),
        (65792, None),
        (263, None),
    ],
)
def test_a_long_outer_loop_of_taps_is_two(size: int, split: tuple[int, int] | None) -> None:
    outer, inner = Atom(size, 8), Atom(3, 1)
    expected = [inner, outer, ONE]
    if split is not None:
        expected = [inner, Atom(split[0], 8), Atom(split[1], 8 * split[0])]
    assert place_taps([outer, inner]) == expected
    if size <= 65536:
        assert place_taps([outer]) == [outer, ONE, ONE]
    assert place_taps([outer, inner, Atom(2, 0)]) == [Atom(2, 0), inner, outer]


@pytest.mark.parametrize(
    ("size", "split"),
    [
        (65536, None),
        (65537, None),
        (65538, (32769, 2)),
        (65792, (32896, 2)),
        (1 << 24, (1 << 16, 256)),
        (257 << 16, None),
        (1 << 25, None),
    ],
)
def test_more_taps_than_one_loop_counts_are_two(size: int, split: tuple[int, int] | None) -> None:
    taps = Atom(size, 3)
    loops = [taps, ONE] if split is None else [Atom(split[0], 3), Atom(split[1], 3 * split[0])]
    assert place_taps([taps]) == [*loops, ONE]


@pytest.mark.parametrize(
    ("size", "split"),
    [
        (4096, None),
        (4097, (241, 17)),
        (8192, (4096, 2)),
        (4096 * 4096, (4096, 4096)),
        (4096 * 4097, None),
        (4099, None),
    ],
)
def test_a_long_loop_over_pixels_is_two(size: int, split: tuple[int, int] | None) -> None:
    x, y = Atom(size, 8), Atom(3, 5)
    if split is None:
        assert place_pixels([x]) == [x, ONE]
    else:
        inner, outer = place_pixels([x])
        assert inner.size * outer.size == size
        assert (inner.stride, outer.stride) == (8, 8 * inner.size)
        assert inner.size <= 4096 and outer.size <= 4096
        assert inner.size == max(n for n in range(1, 4097) if size % n == 0)
    assert place_pixels([y, x]) == [x, y]
    assert place_pixels([]) == [ONE, ONE]
    named_x, named_y = Atom(5, 8, "x"), Atom(4, 80, "y")
    assert place_pixels([named_y, named_x]) == [named_x, named_y]
    assert place_pixels([named_x]) == [named_x, ONE]
    assert place_pixels([named_y]) == [ONE, named_y]


def test_addresses_are_those_of_the_root_and_of_its_register() -> None:
    register = Register(8)
    root, other = Buffer("root", 100, loop_register=register), Buffer("other", 50)
    part = Buffer("part", 10, root, 20)
    at = Placement({root: 1000, other: 3}, {}, {}, {}, {register: 4})
    assert (at.address(part, 5).base, at.address(part, 5).register) == (1025, 4)
    assert (at.address(other, 7).base, at.address(other, 7).register) == (10, 0)
    assert at.address(other, -4).base == (1 << 24) - 1
    assert at.number(ZERO_REGISTER) == 0
    first, second = View(part, 1, ((),), Q(4, 0)), View(other, 2, ((),), Q(4, 0))
    assert at.word(first).base == 1021
    assert at.distance(first, second) == 5 - 1021
    assert at.distance(first, View(root, 50, ((),), Q(4, 0))) == 29


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        (((), ()), (1, 1)),
        (((), (Atom(5, 1),)), (5, 5)),
        (((), (Atom(5, 8),)), (1, 8)),
        (((), (Atom(3, 8),), (Atom(5, 1),)), (5, 8)),
        (((), (Atom(3, 5),), (Atom(5, 1),)), (15, 15)),
        (((), (Atom(2, 24),), (Atom(3, 8),), (Atom(5, 1),)), (5, 8)),
    ],
)
def test_a_host_reaches_blocks_at_equal_distances(axes, expected) -> None:  # type: ignore[no-untyped-def]
    assert blocks(View(Buffer("x", 99), 0, axes, Q(4, 0))) == expected


@pytest.mark.parametrize(
    "axes",
    [
        ((), (Atom(3, 8),), (Atom(5, 2),)),
        ((), (Atom(2, 100),), (Atom(3, 8),), (Atom(5, 1),)),
        ((), (Atom(3, 1),), (Atom(4, 8),)),
    ],
)
def test_other_walks_are_refused(axes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LoweringError, match="must be blocks of words at equal distances"):
        blocks(View(Buffer("x", 99), 0, axes, Q(4, 0)))


def test_bits_of_a_range_are_those_of_both_its_ends_and_a_sign() -> None:
    for low, high in ((0, 0), (-1, 0), (0, 1), (-2, 1), (-3, 1), (-2, 2), (5, 9), (-9, -5), (-8, 7), (1, 3)):
        bits = _bits(low, high)
        assert -(1 << bits - 1) <= low and high < 1 << bits - 1
        assert bits == 1 or not (-(1 << bits - 2) <= low and high < 1 << bits - 2)
    assert _range_bits(np.array([3, -9, 4])) == 5
    assert _range_bits(np.zeros(0, np.int64)) == 2


def test_a_run_that_multiplies_values_takes_two_steps_for_each_product() -> None:
    x, out = row(Buffer("x", 99), 4), Target(Buffer("y", 200), 30, 10)
    made = kernel(x, out, 9, taps=[Atom(3, 1), Atom(2, 9)], pixels=[Atom(5, 7)])
    assert (made.paired, made.tiles, made.tile_steps, made.steps) == (False, 3, 6, 90)
    two = kernel(x, out, 9, operands=[x, x], taps=[Atom(3, 1)])
    assert (two.tile_steps, two.steps) == (6, 18)
    assert "lanes" not in repr(made), "which every kernel of a program shares"
    paired = kernel(x, out, 4, operands=[x, x], factors=[x, x], pixels=[Atom(5, 7)])
    assert (paired.paired, paired.tiles, paired.tile_steps, paired.steps) == (True, 1, 4, 20)


@pytest.mark.parametrize(
    ("groups", "skip", "words"), [(0, False, 1), (0, True, 2), (2, False, 4), (2, True, 8)]
)
def test_a_step_reads_as_many_words_as_its_groups_need(groups: int, skip: bool, words: int) -> None:
    made = kernel(row(Buffer("x", 99), 4), Target(Buffer("y", 99), 0, 4), groups=groups, skip=skip)
    assert made.step_words == words
    assert replace(made, vector=True).step_words == made.lanes


def test_a_run_writes_from_its_first_word_to_the_last_channel_of_its_last_pixel() -> None:
    root = Buffer("root", 400)
    x, out = row(Buffer("x", 99), 4), Target(Buffer("y", 200, root, 100), 30, 10)
    assert kernel(x, out, 4).writes == (root, 130, 133)
    assert kernel(x, out, 4, pixels=[Atom(3, 7), Atom(2, 1)]).writes == (root, 130, 183)


def test_a_multiplier_is_needed_for_a_factor_or_a_second_rounding() -> None:
    x, out = row(Buffer("x", 99), 4), Target(Buffer("y", 200), 0, 4)
    assert not kernel(x, out).multiplied
    assert kernel(x, out, twice=True).multiplied
    assert kernel(x, out, parameters=np.array([[0, 0, 1], [0, 0, 2]])).multiplied


def test_a_run_is_its_loops_from_the_innermost_on_with_addresses_and_counts() -> None:
    x, y, out = Buffer("x", 99), Buffer("x2", 99), Buffer("y", 200)
    at = Placement({x: 1000, y: 1300, out: 2000}, {}, {}, {}, {})

    def run(made: Kernel) -> Run:
        return made.run(replace(at, parameter_rows={made: 7}))

    one = run(
        kernel(row(x, 4, 5), Target(out, 30, 10), 9, taps=[Atom(3, 1)], pixels=[Atom(5, 7)], tile_stride=4)
    )
    assert (one.counts, one.strides) == ((3, 1, 1, 3, 5, 1), (1, 0, 0, 4, 7, 0))
    assert (one.activation.base, one.output.base, one.weight.base, one.parameter.base) == (1005, 2030, 0, 7)
    assert (one.last_channels, one.output_gap) == (1, 1)
    two = run(kernel(row(x, 4), Target(out, 0, 4), operands=[row(x, 4), row(y, 4, 2)], taps=[Atom(3, 1)]))
    assert (two.counts[:3], two.strides[:3]) == ((3, 2, 1), (1, 302, 0))
    product = kernel(row(x, 4), Target(out, 0, 4), factors=[row(y, 4)], vector=True)
    assert (run(product).counts[:3], run(product).strides[:3]) == ((2, 1, 1), (300, 0, 0))
    four = replace(product, operands=[row(x, 4), row(x, 4, 20)], factors=[row(y, 4), row(y, 4, 20)])
    assert (run(four).counts[:3], run(four).strides[:3]) == ((2, 2, 1), (300, 20, 0))
    assert (one.table, one.table_base) == (False, 0)
    assert run(product).paired and not two.paired and two.last_channels == 4


def test_a_description_is_short_where_there_is_one_pixel_and_the_engine_takes_short_ones() -> None:
    x, target = row(Buffer("x", 99), 4), Target(Buffer("y", 99), 0, 4)
    plain = kernel(x, target, may_be_short=True)
    assert plain.short
    assert kernel(x, target, may_be_short=True, pixels=[Atom(1, 7)]).short
    for other in (
        kernel(x, target),
        kernel(x, target, may_be_short=True, pixels=[Atom(2, 7)]),
        kernel(x, target, may_be_short=True, pixels=[Atom(1, 7), Atom(3, 7)]),
        kernel(x, target, may_be_short=True, window=ALL_PADDING),
    ):
        assert not other.short
