# SPDX-License-Identifier: MIT
"""Registers and buffers that are needed at the same time share nothing; others may."""

from __future__ import annotations

import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.allocation import REGISTERS, number_registers
from fixedpoint_nn.hardware.compiler.flatten import flatten
from fixedpoint_nn.hardware.compiler.ir import Declare, Item, Loop, SetRegister
from fixedpoint_nn.hardware.compiler.strided_view import Register
from fixedpoint_nn.hardware.isa.instructions import Set


def loop(*registers: Register, body: tuple[Item, ...] = ()) -> list[Item]:
    counter, *moving = registers
    return [*(Declare(register) for register in registers), Loop(counter, 2, tuple(moving), body)]


def test_a_register_that_a_loops_body_sets_is_none_of_the_loops() -> None:
    counter, moving, token = Register(), Register(8), Register()
    items = flatten(loop(counter, moving, body=(Declare(token), SetRegister(token, 5))))
    assert number_registers(items) == {counter: 1, moving: 2, token: 3}


def test_one_loop_after_the_other_uses_the_same_registers() -> None:
    first, second = (Register(), Register(8)), (Register(), Register(4))
    assert list(number_registers(flatten([*loop(*first), *loop(*second)])).values()) == [1, 2, 1, 2]


def test_a_register_that_nothing_uses_takes_no_number() -> None:
    assert number_registers([Declare(Register())]) == {}


def test_more_registers_than_the_engine_has_are_refused_with_the_layer() -> None:
    registers = [Register(8) for _ in range(REGISTERS)]
    items: list[Item] = [Declare(register, "lstm") for register in registers]
    items += [SetRegister(register, 0) for register in (*registers, *registers)]
    with pytest.raises(LoweringError) as caught:
        number_registers(flatten(items))
    assert str(caught.value) == (
        "Layer 'lstm' does not fit the engine: it needs more than the engine's seven registers; use fewer sequences "
        "in one loop."
    )


def test_the_engine_has_as_many_registers_as_its_instructions_can_name() -> None:
    (field,) = (field for field in Set.layout if field.name == "register")
    assert 1 << field.bits == REGISTERS
