# SPDX-License-Identifier: MIT
"""A value is needed from the first item that touches it to the last, and through every loop that finds it."""

from __future__ import annotations

from collections.abc import Iterator

from fixedpoint_nn.hardware.compiler.ir import Advance, Flat, JumpIfEqual, Label, Repeat, SetRegister
from fixedpoint_nn.hardware.compiler.lifetimes import lifetimes
from fixedpoint_nn.hardware.compiler.strided_view import ZERO_REGISTER, Register

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
