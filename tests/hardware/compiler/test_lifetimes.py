# SPDX-License-Identifier: MIT
"""A value is needed from the first item that touches it to the last, and through every loop that finds it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixedpoint_nn.hardware.compiler.ir import (
    Advance,
    Flat,
    JumpIfEqual,
    Label,
    LoadRegister,
    Repeat,
    SetRegister,
    StoreArgmax,
)
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.lifetimes import Span, lifetimes, overlap, reads, targets, writes
from fixedpoint_nn.hardware.compiler.strided_view import ZERO_REGISTER, Atom, Buffer, Register
from tests.support.kernels import kernel, row

A, B, COUNTER = Register(1), Register(1), Register()
BEGIN, END = Label("begin"), Label("end")


def registers(item: Flat) -> Iterator[Register]:
    if not isinstance(item, Label):
        yield item.register


def test_without_jumps_it_is_the_first_and_the_last_item() -> None:
    items = [SetRegister(A, 0), SetRegister(B, 0), Advance(A), Advance(B)]
    assert lifetimes(items, registers) == {A: (0, 2), B: (1, 3)}


def test_a_loop_keeps_what_it_finds_and_what_it_leaves() -> None:
    items = [
        SetRegister(A, 0),
        SetRegister(COUNTER, 3),
        BEGIN,
        Advance(A),
        Advance(B),
        Repeat(COUNTER, BEGIN),
    ]
    found = lifetimes(items, registers)
    assert found[A] == (0, 5)
    assert found[B] == (2, 5), "the next round may find what this one has left"


def test_a_jump_forward_keeps_nothing_alive() -> None:
    items = [SetRegister(A, 0), JumpIfEqual(ZERO_REGISTER, 0, END), Advance(B), END]
    assert lifetimes(items, registers)[A] == (0, 0)


def test_what_is_there_before_the_first_item_lives_from_then_on() -> None:
    assert lifetimes([Advance(A), Advance(A)], registers, {A: (-1, -1)}) == {A: (-1, 1)}


def test_what_a_jump_alone_touches_is_needed_in_its_loop() -> None:
    assert lifetimes([SetRegister(A, 0), BEGIN, Advance(A), Repeat(COUNTER, BEGIN)], registers)[COUNTER] == (
        1,
        3,
    )


def test_what_ends_before_a_loop_begins_stays_as_it_is() -> None:
    found = lifetimes(
        [Advance(A), Advance(B), BEGIN, Advance(B), Repeat(COUNTER, BEGIN), Advance(A)], registers
    )
    assert found == {A: (0, 5), B: (1, 4), COUNTER: (2, 4)}
    assert lifetimes([Advance(A), BEGIN, Advance(B), Repeat(COUNTER, BEGIN)], registers)[A] == (0, 0)
    late = [BEGIN, Advance(A), Repeat(COUNTER, BEGIN), Advance(B), Advance(B)]
    assert lifetimes(late, registers)[B] == (3, 4)


ROOT = Buffer("root", 400)
MOVED = Buffer("moved", 100, ROOT, 20, A)
PLAIN, OUT = Buffer("plain", 400), Target(Buffer("out", 400, ROOT, 100), 7, 10)


def test_a_run_may_read_from_the_lowest_to_the_highest_word_of_its_loops() -> None:
    one = kernel(row(MOVED, 4, 5), OUT)
    assert list(reads(one)) == [(ROOT, A, 25, 25)]
    walks = kernel(row(MOVED, 4, 5), OUT, taps=[Atom(3, 2)], pixels=[Atom(4, 10), Atom(2, -7)])
    assert list(reads(walks)) == [(ROOT, A, 18, 59)]
    tiles = kernel(row(PLAIN, 4, 8), OUT, 9, tile_stride=4, vector=True)
    assert list(reads(tiles)) == [(PLAIN, None, 8, 19)]
    several = kernel(row(PLAIN, 4), OUT, operands=[row(PLAIN, 4), row(MOVED, 4)], factors=[row(PLAIN, 4, 9)])
    assert list(reads(several)) == [(PLAIN, None, 0, 0), (ROOT, A, 20, 20), (PLAIN, None, 9, 9)]


def test_a_run_writes_its_results_unless_it_writes_nothing() -> None:
    made = kernel(row(PLAIN, 4), OUT, pixels=[Atom(3, 4)])
    assert list(writes(made)) == [(ROOT, None, 107, 130)]
    assert list(writes(kernel(row(PLAIN, 4), OUT, write=False))) == []


def test_other_items_touch_one_word_or_none() -> None:
    load, store = LoadRegister(B, row(MOVED, 1, 3), 0), StoreArgmax(row(MOVED, 1, 3), ())
    assert (list(reads(load)), list(writes(load))) == ([(ROOT, A, 23, 23)], [])
    assert (list(reads(store)), list(writes(store))) == ([], [(ROOT, A, 23, 23)])
    assert list(reads(Advance(A))) == list(writes(Advance(A))) == []


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((ROOT, A, 0, 9), (ROOT, A, 10, 19), False),
        ((ROOT, A, 0, 10), (ROOT, A, 10, 19), True),
        ((ROOT, A, 4, 5), (ROOT, A, 0, 9), True),
        ((ROOT, A, 0, 9), (ROOT, B, 10, 19), True),
        ((ROOT, None, 0, 9), (ROOT, B, 10, 19), True),
        ((ROOT, A, 0, 9), (PLAIN, A, 0, 9), False),
        ((ROOT, A, 0, 9), (PLAIN, B, 0, 9), False),
    ],
)
def test_words_of_one_buffer_meet_if_they_may(a: Span, b: Span, expected: bool) -> None:
    assert overlap(a, b) is expected
    assert overlap(b, a) is expected


def test_jumps_have_a_target() -> None:
    assert targets(Repeat(COUNTER, BEGIN)) == (BEGIN,)
    assert targets(JumpIfEqual(COUNTER, 0, END)) == (END,)
    assert targets(Advance(A)) == ()


@pytest.mark.parametrize(
    ("groups", "skip", "unused", "last"),
    [(0, False, 0, 14), (1, False, 0, 15), (2, False, 1, 16), (1, True, 0, 17)],
)
def test_groups_of_lanes_read_several_words_in_a_step_but_not_the_unused_ones(
    groups: int, skip: bool, unused: int, last: int
) -> None:
    home = Buffer("home", 99)
    run = kernel(
        row(home, 4, 5), Target(Buffer("there", 9), 0, 4), taps=[Atom(4, 3)],
        groups=groups, joined=not skip, skip=skip, unused=unused,
    )  # fmt: skip
    assert list(reads(run)) == [(home, None, 5, last)]
