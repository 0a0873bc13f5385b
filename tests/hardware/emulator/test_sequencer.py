# SPDX-License-Identifier: MIT
"""Instructions one by one on the emulator: registers, jumps, memory accesses, cycles, and programs that it refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.emulator.result import EmulationError, Result
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import (
    Address,
    Halt,
    Increment,
    Instruction,
    JumpEqual,
    Load,
    Loop,
    Run,
    Set,
    Store,
    encode,
)

CONFIG = EngineConfig(
    lanes=4,
    activation_width=8,
    weight_width=8,
    accumulator_width=24,
    bias_width=16,
    activation_depth=500,
    weight_depth=16,
    parameter_depth=16,
    table_depth=16,
    program_depth=128,
)
MASK = (1 << CONFIG.address_width) - 1
ACTIVATIONS = np.array([5, -3, 17, 100, -128, 127, 0, 1])


def engine(*code: Instruction, weights: int = 16, parameters: int = 16) -> Emulator:
    images = Images(
        encode([*code, Halt()]),
        np.ones((weights, 4), np.int64),
        np.zeros((parameters, 2), np.int64),
        np.arange(16),
        ACTIVATIONS,
    )
    return Emulator(CONFIG, images)


def done(*code: Instruction) -> tuple[Emulator, Result]:
    emulator = engine(*code)
    return emulator, emulator.run(writes=True)


# ---- registers -------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 7), st.integers(-(1 << 23), (1 << 23) - 1)), max_size=12))
def test_set_and_add_compute_modulo_the_address_width(steps: list[tuple[int, int]]) -> None:
    registers = {register: 3 * register for register in range(1, 8)}
    code: list[Instruction] = [Set(register, value) for register, value in registers.items()]
    for register, value in steps:
        code.append(Increment(register, value))
        registers[register] += value
    emulator, result = done(*code)
    assert emulator.registers == {register: value % (MASK + 1) for register, value in registers.items()}
    assert result.cycles == 3 + len(code)


def test_set_keeps_the_bits_of_an_address() -> None:
    emulator, _ = done(Set(1, (1 << 24) - 1), Set(1, MASK + 6))
    assert emulator.registers == {1: 5}


def test_every_run_of_the_program_begins_without_registers() -> None:
    emulator = engine(JumpEqual(0, 0, 4), Increment(1, 1), Halt(), Set(1, 5))
    assert emulator.run().cycles == emulator.run().cycles
    assert emulator.registers == {1: 5}


# ---- jumps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_a_loop_goes_round_as_often_as_its_register_says(rounds: int) -> None:
    emulator, result = done(Set(1, rounds), Set(2, 0), Increment(2, 10), Loop(1, 2))
    assert emulator.registers == {1: 0, 2: 10 * rounds}
    # Two words, then two for each round; a jump that is taken takes three clocks instead of one.
    assert result.cycles == 3 + 2 + 2 * rounds + 2 * (rounds - 1)


def test_a_loop_of_zero_goes_round_as_often_as_there_are_addresses() -> None:
    emulator, _ = done(Set(1, 0), Set(2, 0), Increment(2, 1), Loop(1, 2))
    assert emulator.registers == {1: 0, 2: 0}  # 2 ** address_width rounds


@pytest.mark.parametrize(
    ("held", "value", "jumps"), [(7, 7, True), (7, 8, False), (MASK, (1 << 24) - 1, True)]
)
def test_jump_equal_compares_the_bits_of_an_address(held: int, value: int, jumps: bool) -> None:
    emulator, result = done(Set(1, held), JumpEqual(1, value, 4), Set(2, 1), Set(3, 1))
    assert set(emulator.registers) == ({1, 3} if jumps else {1, 2, 3})
    assert result.cycles == 3 + 1 + (1 + 3 if jumps else 2 + 1) + 1


def test_register_zero_equals_zero_always() -> None:
    emulator, _ = done(JumpEqual(0, 0, 3), Set(1, 1), Set(2, 1))
    assert emulator.registers == {2: 1}
    emulator, _ = done(JumpEqual(0, 1, 3), Set(1, 1), Set(2, 1))
    assert emulator.registers == {1: 1, 2: 1}


# ---- the activation memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0, 1, 3, 9])
@pytest.mark.parametrize("place", range(len(ACTIVATIONS)))
def test_load_takes_a_signed_word_shifted_left(place: int, shift: int) -> None:
    emulator, result = done(Set(1, place), Load(2, Address(0, 1), shift))
    assert emulator.registers[2] == (int(ACTIVATIONS[place]) << shift) % (MASK + 1)
    assert result.cycles == 3 + 1 + 1 + 4 + shift


def test_load_and_store_add_a_register_to_the_address() -> None:
    emulator, result = done(Set(3, 2), Load(1, Address(1, 3)), Store(Address(300, 1)))
    assert emulator.registers[1] == 100
    assert [(w.addresses.tolist(), w.values.tolist(), w.cycles.tolist()) for w in result.writes] == [
        ([400], [0], [3 + 1 + 1 + 4 + 2])
    ]


def search(words: Sequence[int]) -> Run:
    """A run that looks for the largest of the activation words 8 to 8 + count - 1."""
    return Run(
        activation=Address(8),
        output=Address(200),
        counts=(1, 1, 1, 1, len(words), 1),
        strides=(0, 0, 0, 0, 1, 0),
        out_bits=8,
        argmax=True,
    )


@pytest.mark.parametrize(
    ("words", "index", "best"), [([3, 9, 9, -1], 1, 9), ([-5], 0, -5), ([-7, -2, -9, -2], 1, -2)]
)
def test_store_writes_the_place_of_the_first_largest_word_or_the_word(
    words: list[int], index: int, best: int
) -> None:
    emulator = engine(search(words), Store(Address(300)), Store(Address(301), best_value=True))
    emulator.write(8, np.array(words))
    result = emulator.run(writes=True)
    assert emulator.read(300, 2).tolist() == [index, best]
    assert (result.argmax, result.best) == (index, best)
    assert [write.place for write in result.writes] == [0, 20, 22]


def test_store_keeps_the_bits_of_a_word() -> None:
    words = np.full(200, -1)
    words[150] = 1
    emulator = engine(search(words), Store(Address(490)))
    emulator.write(8, words)
    assert emulator.run().argmax == 150
    assert emulator.read(490).tolist() == [150 - 256]


def test_the_host_writes_and_reads_copies() -> None:
    emulator = engine()
    emulator.write(100, np.array([1, 2, 3]))
    words = emulator.read(99, 5)
    assert words.tolist() == [0, 1, 2, 3, 0]
    words[:] = 7
    assert emulator.memory[99:104].tolist() == [0, 1, 2, 3, 0]


# ---- cycles ----------------------------------------------------------------------------------------------------------


def test_a_halt_waits_until_the_last_result_is_written() -> None:
    _, result = done(Run(counts=(8, 1, 1, 1, 1, 1), strides=(1, 0, 0, 0, 0, 0), last_channels=4, out_bits=8))
    # 3 to the first word, 20 words, handed over, 2 to the first of 8 steps, 15 stages, 4 channels.
    assert result.cycles == 3 + 20 + 2 + 7 + 15 + 4
    assert result.mac_cycles == 8


@pytest.mark.parametrize("access", [Load(1, Address(0)), Store(Address(300))])
def test_accesses_wait_until_the_last_result_is_written(access: Instruction) -> None:
    run = Run(counts=(8, 1, 1, 1, 1, 1), strides=(1, 0, 0, 0, 0, 0), last_channels=4, out_bits=8)
    _, result = done(run, access)
    assert result.cycles == 3 + 20 + 2 + 7 + 15 + 4 + (1 + 4 if isinstance(access, Load) else 2)


def test_the_next_run_is_read_meanwhile_and_its_first_tile_ends_when_the_last_word_is_readable() -> None:
    steps = Run(
        activation=Address(0),
        output=Address(100),
        counts=(1, 1, 1, 1, 50, 1),
        last_channels=1,
        out_bits=8,
        barrier=False,
    )
    _, result = done(steps, steps)
    last = 3 + 20 + 2 + 49  # of the first run; its last word is readable 15 + 1 clocks later
    assert result.cycles == last + 16 + 49 + 16  # the second run's first tile ends when it is
    assert result.mac_cycles == 100


# ---- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ([Increment(1, 1)], "word 0 reads register 1, which nothing has set"),
        ([Set(1, 3), Loop(2, 0)], "word 1 reads register 2, which nothing has set"),
        ([JumpEqual(0, 0, 77)], "the program runs to word 77, where no instruction begins"),
        ([JumpEqual(0, 0, 1)], "the program runs to word 1, where no instruction begins"),
        ([Load(1, Address(499))], "word 0 reads activation 499, which nothing has written"),
        ([Load(1, Address(504))], "word 0 reads activation 504; there are 500"),
        ([Store(Address(504))], "word 0 writes activation 504; there are 500"),
        ([Run(weight=Address(16))], "word 0 needs more weights than the 16 rows that there are"),
        ([Run(parameter=Address(16))], "word 0 needs parameters 16 to 16; there are 16"),
        ([Run(output=Address(504))], "word 0 writes activation 504; there are 500"),
        ([Run(table=True, table_base=16, out_bits=2)], "a table at 16 is read at 17; there are 16 words"),
        (
            [
                Run(output=Address(40), counts=(1, 1, 1, 1, 50, 1)),
                Run(activation=Address(89), barrier=False, counts=(2, 1, 1, 1, 1, 1)),
            ],
            "word 20 reads activation 89 before it is written; it needs a barrier",
        ),
        ([Run(groups=1, last_channels=4)], "word 0 reads 2 words in a step, and the engine reads 1"),
        ([Run(early=1)], "word 0 is a run with early, which an engine that reads one word per clock has not"),
        (
            [Run(short=True)],
            "word 0 is a run with short, which an engine that reads one word per clock has not",
        ),
    ],
)
def test_what_would_be_undefined_is_refused_in_a_sentence(code: list[Instruction], sentence: str) -> None:
    with pytest.raises(EmulationError, match=f"^{re.escape(sentence)}$"):
        done(*code)


def test_a_program_that_does_not_end_is_refused() -> None:
    with pytest.raises(EmulationError, match=r"^the program has not halted after 1000 instructions$"):
        engine(JumpEqual(0, 0, 0)).run(limit=1000)


def test_padding_needs_neither_weights_nor_activations() -> None:
    run = Run(activation=Address(500), weight=Address(99), output=Address(40), bounded=True, last_channels=2)
    emulator, _ = done(run)
    assert emulator.read(40, 2).tolist() == [0, 0]
