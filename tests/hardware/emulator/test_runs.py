# SPDX-License-Identifier: MIT
"""Whole runs on the emulator against a scalar reading of docs/engine.md: words, cycles, status, sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.emulator.result import EmulationError
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Address, Halt, Run, decode, encode
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numerics.qformat import QFormat
from tests.support.random_programs import CONFIGS, GROUPED, WIDE, random_program
from tests.support.scalar_engine import ScalarEngine


def agree(config: EngineConfig, images: Images, seed: int) -> ScalarEngine:
    emulator, scalar = Emulator(config, images), ScalarEngine(config, images, seed)
    result = emulator.run(seed, writes=True)
    for _, instruction in decode(images.program):
        if isinstance(instruction, Run):
            scalar.run(instruction)
    written = [
        write
        for done in result.writes
        for write in zip(done.cycles.tolist(), done.addresses.tolist(), done.values.tolist(), strict=True)
    ]
    assert written == scalar.writes
    for name in ("mac_cycles", "saturations", "accumulator_overflow", "argmax", "best"):
        assert getattr(result, name) == getattr(scalar, name), name
    assert result.cycles == scalar.halt()
    assert all(emulator.memory[address] == word for address, word in scalar.memory.items())
    return scalar


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_give_the_words_cycles_and_status_of_the_scalar_engine(seed: int) -> None:
    agree(*random_program(seed))


@pytest.mark.parametrize("seed", range(len(WIDE)))
def test_engines_of_many_lanes_and_wide_drains_agree_with_the_scalar_engine(seed: int) -> None:
    agree(*random_program(seed, WIDE))


@pytest.mark.parametrize("seed", range(5 * len(GROUPED)))
def test_engines_with_groups_of_lanes_agree_with_the_scalar_engine(seed: int) -> None:
    agree(*random_program(seed, GROUPED))


def test_the_random_programs_meet_every_use_of_groups() -> None:
    runs = [
        instruction
        for seed in range(5 * len(GROUPED))
        for _, instruction in decode(random_program(seed, GROUPED)[1].program)
        if isinstance(instruction, Run)
    ]
    for flag in (
        "joined",
        "skip",
        "spread",
        "maximum",
        "per_tile",
        "bounded",
        "barrier",
        "argmax",
        "modelled",
        "short",
    ):
        assert {getattr(run, flag) for run in runs if run.groups} == {False, True}, flag
    assert {run.groups for run in runs} == set(range(6))
    assert any(run.unused for run in runs) and any(run.early for run in runs)
    assert any(run.counts[3] > 1 and run.joined for run in runs)


def test_the_random_programs_meet_every_kind_of_run() -> None:
    runs = [
        instruction
        for seed in range(40)
        for _, instruction in decode(random_program(seed)[1].program)
        if isinstance(instruction, Run)
    ]
    assert {run.rounding for run in runs} == set(range(7))
    assert {run.overflow for run in runs} == set(range(4))
    flags = (
        *("barrier", "vector", "paired", "maximum", "bounded", "per_tile", "modelled", "relu_before"),
        *("relu_after", "table", "noise", "argmax", "out_signed"),
    )
    for flag in flags:
        assert {getattr(run, flag) for run in runs} == {False, True}, flag
    assert any(run.leak for run in runs)
    assert any(run.output_gap for run in runs)


# A one-tap, one-channel run: what becomes of one sum, for every rounding and overflow.
ONE = EngineConfig(
    lanes=1,
    activation_width=8,
    weight_width=8,
    accumulator_width=16,
    bias_width=8,
    activation_depth=1024,
    weight_depth=2,
    parameter_depth=2,
    table_depth=2,
    program_depth=64,
)


@pytest.mark.parametrize("rounding", range(7))
@pytest.mark.parametrize("overflow", range(4))
@pytest.mark.parametrize(("bits", "signed"), [(1, True), (3, True), (3, False), (7, False), (8, True)])
def test_every_sum_of_eight_bits_is_requantised_as_a_fraction_would_be(
    rounding: int, overflow: int, bits: int, signed: bool
) -> None:
    number = 7 * overflow + rounding
    run = Run(
        counts=(1, 1, 1, 1, 256, 1),
        strides=(0, 0, 0, 0, 1, 0),
        rounding=rounding,
        overflow=overflow,
        out_bits=bits,
        out_signed=signed,
        leak=number % 3 == 0,
        relu_before=number % 5 == 1,
        relu_after=number % 5 == 3,
    )
    run = replace(run, output=replace(run.output, base=512))
    words = np.arange(-128, 128)
    parameter = np.array([[3, 1 - number % 3]])
    images = Images(encode([run, Halt()]), np.ones((1, 1), np.int64), parameter, np.zeros(0, np.int64), words)
    scalar = agree(ONE, images, 1)
    assert len(scalar.writes) == 256


@pytest.mark.parametrize("seed", range(8))
def test_the_twin_records_the_sums_that_the_asked_run_requantises(seed: int) -> None:
    config, images, noise = random_program(seed)
    port = Port((0,), QFormat(config.activation_width, 0), 0, 0, 0)
    scalar = ScalarEngine(config, images, noise)
    for place, instruction in decode(images.program):
        if not isinstance(instruction, Run):
            continue
        scalar.run(instruction)
        twin = Twin(config, images, port, np.zeros(0, np.int64))
        twin.wanted = (place, 0)
        twin.run(noise)
        assert twin.found is not None
        run, sums, parameters = twin.found
        assert run == instruction
        assert sums.reshape(-1).tolist() == scalar.sums
        channels = run.pixel_channels(config.lanes)
        assert len(parameters) == channels


def test_the_scalar_engine_and_the_emulator_can_disagree() -> None:
    config, images, seed = random_program(1)
    wrong = images.parameters.copy()
    wrong[:, 1] += 1 << config.bias_width // 2
    scalar = ScalarEngine(config, replace(images, parameters=wrong), seed)
    for _, instruction in decode(images.program):
        if isinstance(instruction, Run):
            scalar.run(instruction)
    emulator = Emulator(config, images)
    emulator.run(seed)
    assert any(emulator.memory[address] != word for address, word in scalar.memory.items())


def test_the_engines_of_the_random_programs_model_every_accumulator() -> None:
    assert {(c.model_width > 0, c.model_saturate, c.product_bits > 0) for c in CONFIGS} == {
        (False, 0, False),
        (True, 1, False),
        (True, 0, False),
        (True, 0, True),
    }


def test_a_relu_of_signed_words_that_are_wider_than_the_memory_is_refused() -> None:
    run = Run(output=Address(64), out_bits=9, relu_after=True)
    with pytest.raises(
        EmulationError,
        match="word 0 asks for a ReLU of words in a signed format of 9 bits, whose sign a word of 8 bits does not hold",
    ):
        Emulator(CONFIGS[0], Images(encode([run, Halt()]))).run()
