# SPDX-License-Identifier: MIT
"""Registers and buffers that are needed at the same time share nothing; others may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.allocation import (
    REGISTERS,
    Allocation,
    _addresses,
    allocate,
    number_registers,
)
from fixedpoint_nn.hardware.compiler.flatten import flatten
from fixedpoint_nn.hardware.compiler.ir import (
    Declare,
    EngineProgram,
    Flat,
    Item,
    LoadRegister,
    LoopItem,
    SetRegister,
)
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Target
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register
from fixedpoint_nn.hardware.isa.instructions import Set
from fixedpoint_nn.numerics.qformat import Q
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table
from tests.support.kernels import WORD, kernel, row

IN, OUT = Buffer("in", 8), Buffer("out", 4)


def step(source: Buffer, target: Buffer, **more: Any) -> Kernel:
    """A run from one buffer to another."""
    return kernel(row(source, 4), Target(target, 0, 4), **more)


def allocated(
    items: Sequence[Flat], *others: Buffer, constants: Sequence[Buffer] = (), drain: int = 1
) -> Allocation:
    """The memory of a program from `IN` to `OUT`, which declares the other buffers too."""
    program = EngineProgram(4, (), tuple(constants), row(IN, 8), row(OUT, 4), drain)
    return allocate(program, [*(Declare(buffer) for buffer in (IN, *others, OUT)), *items])


def test_buffers_that_are_not_needed_together_stand_at_the_same_place_the_largest_first() -> None:
    a, b, c = Buffer("a", 12), Buffer("b", 8), Buffer("c", 12)
    found = allocated([step(IN, a), step(a, b), step(b, c), step(c, OUT)], a, b, c)
    # What lasts comes first: OUT at 0. a and c are never alive together; IN dies when a is born, so it stands apart.
    assert found.placement.addresses == {OUT: 0, a: 4, c: 4, IN: 16, b: 16}
    assert found.depth == 24


def test_a_value_and_what_is_made_of_it_share_no_word_whichever_is_larger() -> None:
    large, small = Buffer("large", 16), Buffer("small", 4)
    for first, second in ((large, small), (small, large)):
        at = allocated(
            [step(IN, first), step(first, second), step(second, OUT)], large, small
        ).placement.addresses
        assert abs(at[first] - at[second]) >= min(first.words, second.words)
        assert at[large] + 16 <= at[small] or at[small] + 4 <= at[large]


def test_a_hole_that_is_just_large_enough_is_used() -> None:
    a, b, c = Buffer("a", 12), Buffer("b", 12), Buffer("c", 12)
    items = [step(a, b), step(b, c), step(c, OUT)]
    assert allocated(items, a, b, c).placement.addresses == {OUT: 0, a: 4, b: 16, c: 4, IN: 4}


def test_the_input_stands_alone_from_before_the_first_item_to_its_last_reader() -> None:
    a, b, late = Buffer("a", 8), Buffer("b", 8), Buffer("late", 8)
    found = allocated([step(a, b), step(IN, b), step(b, late), step(late, OUT)], a, b, late)
    at = found.placement.addresses
    assert len({at[IN], at[a], at[b]}) == 3, "what is computed before the input is read must not destroy it"
    assert at[late] in (at[IN], at[a])


def test_an_input_that_nothing_reads_takes_no_room_from_the_first_item_on() -> None:
    a = Buffer("a", 8)
    items = [step(a, a), step(a, OUT)]
    assert _addresses(items, [IN, a, OUT], IN, OUT, 4)[0] == {OUT: 0, IN: 4, a: 4}


def test_what_is_kept_and_the_output_last_from_the_first_item_to_the_last() -> None:
    kept, early, late = Buffer("kept", 4, keep=True), Buffer("early", 4), Buffer("late", 4)
    items = [step(early, early), step(IN, kept), step(kept, OUT), step(late, late)]
    at = allocated(items, kept, early, late).placement.addresses
    assert at == {kept: 0, OUT: 4, IN: 8, early: 16, late: 8}


def test_constants_stand_at_the_low_end_and_fill_the_image() -> None:
    words, more = Buffer("c", 4, constants=(7, -8, 9), keep=True), Buffer("d", 4, constants=(1,), keep=True)
    huge = Buffer("huge", 40, keep=True)
    found = allocated([step(words, huge), step(more, OUT)], huge, constants=(words, more))
    assert found.placement.addresses == {words: 0, more: 4, huge: 8, OUT: 48, IN: 52}
    assert found.activations.tolist() == [7, -8, 9, 0, 1]
    assert allocated([step(IN, OUT)]).activations.tolist() == []


def test_a_buffer_that_nothing_touches_stands_at_0_and_takes_no_room() -> None:
    idle = Buffer("idle", 400)
    found = allocated([step(IN, OUT)], idle)
    assert found.placement.addresses == {OUT: 0, idle: 0, IN: 4}
    assert found.depth == 12
    assert _addresses([], [], IN, OUT, 4) == ({}, 0)


@pytest.mark.parametrize(("lanes", "depth"), [(1, 12), (4, 12), (8, 16), (16, 16), (32, 32)])
def test_the_memory_is_whole_rows_deep(lanes: int, depth: int) -> None:
    assert _addresses([step(IN, OUT)], [IN, OUT], IN, OUT, lanes)[1] == depth


def test_random_buffers_that_are_alive_together_share_no_word() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        buffers = [Buffer(str(n), int(rng.integers(1, 6)) * 4) for n in range(8)]
        items = [
            step(buffers[rng.integers(8)], buffers[rng.integers(8)]) for _ in range(int(rng.integers(1, 12)))
        ]
        at, depth = _addresses(items, buffers, buffers[0], buffers[1], 4)
        touched = {
            b: [n for n, i in enumerate(items) if b in (i.operands[0].buffer, i.target.buffer)]
            for b in buffers
        }
        alive = {b: set(range(min(n), max(n) + 1)) for b, n in touched.items() if n}
        if buffers[0] in alive:
            alive[buffers[0]] = set(range(-1, max(touched[buffers[0]]) + 1))
        alive[buffers[1]] = set(range(-1, len(items) + 1))
        for a in alive:
            for b in alive:
                assert (
                    a is b or not alive[a] & alive[b] or at[a] + a.words <= at[b] or at[b] + b.words <= at[a]
                )
        assert depth == max([at[b] + b.words for b in alive] + [at[buffers[0]] + buffers[0].words])


@pytest.mark.parametrize(
    ("drain", "rows", "words"), [(1, [0, 3, 0], 5), (2, [0, 2, 0], 6), (4, [0, 1, 0], 8)]
)
def test_the_parameters_of_a_run_begin_a_row_and_equal_ones_stand_there_once(
    drain: int, rows: list[int], words: int
) -> None:
    one, two = np.arange(9).reshape(3, 3), np.arange(20, 26).reshape(2, 3)
    kernels = [step(IN, OUT, parameters=p) for p in (one, two, one.copy())]
    found = allocated(kernels, drain=drain)
    assert [found.placement.parameter_rows[k] for k in kernels] == rows
    assert found.parameters.shape == (words, 3)
    assert np.array_equal(found.parameters[:3], one)
    assert np.array_equal(found.parameters[rows[1] * drain :][:2], two)
    assert not found.parameters[3 : rows[1] * drain].any()


def test_the_weights_of_runs_stand_below_each_other() -> None:
    one, two = np.arange(12).reshape(3, 4), np.arange(50, 58).reshape(2, 4)
    kernels = [step(IN, OUT, weights=w) for w in (one, None, two, one.copy())]
    found = allocated(kernels)
    assert found.placement.weight_rows == {kernels[0]: 0, kernels[2]: 3, kernels[3]: 0}
    assert np.array_equal(found.weights, np.concatenate([one, two]))


def test_memories_that_nothing_uses_hold_one_row_or_nothing() -> None:
    found = allocated([], drain=4)
    assert found.weights.tolist() == [[0, 0, 0, 0]]
    assert found.parameters.tolist() == [[0, 0, 0]] * 4
    assert found.tables.tolist() == []
    assert found.placement.table_bases == {}


def test_tables_begin_at_multiples_of_their_size_the_largest_first() -> None:
    small, large = (Table("sigmoid", Q(4, frac), Quantizer(WORD)) for frac in (1, 3))
    kernels = [step(IN, OUT, table=t) for t in (small, None, large, small)]
    found = allocated(kernels)
    assert found.placement.table_bases == {kernels[0]: 128, kernels[2]: 0, kernels[3]: 128}
    assert np.array_equal(found.tables, [*large.ints, *small.ints])


def loop(*registers: Register, body: tuple[Item, ...] = ()) -> list[Item]:
    counter, *moving = registers
    return [*(Declare(register) for register in registers), LoopItem(counter, 2, tuple(moving), body)]


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


def test_a_register_that_loads_another_by_its_address_shares_no_number_with_it() -> None:
    moving, token, buffer = Register(8), Register(), Buffer("x", 8)
    moved = Buffer("x at t", 8, buffer, 0, moving)
    items: list[Flat] = [
        SetRegister(moving, 0),
        LoadRegister(token, row(moved, 1), 0),
        SetRegister(token, 1),
    ]
    for declared in ((moving, token), (token, moving)):
        numbers = number_registers([*(Declare(register) for register in declared), *items])
        assert sorted(numbers.values()) == [1, 2]


def test_a_register_is_needed_while_runs_read_or_write_what_it_moves() -> None:
    moving, other = Register(8), Register()
    moved = Buffer("x at t", 8, Buffer("x", 80), 0, moving)
    for last in (step(moved, OUT), step(IN, moved)):
        items: list[Flat] = [
            Declare(moving),
            Declare(other),
            SetRegister(moving, 0),
            SetRegister(other, 1),
            last,
        ]
        assert number_registers(items) == {moving: 1, other: 2}
    after: list[Flat] = [
        Declare(moving),
        Declare(other),
        SetRegister(moving, 0),
        step(IN, OUT),
        SetRegister(other, 1),
    ]
    assert number_registers(after) == {moving: 1, other: 1}
