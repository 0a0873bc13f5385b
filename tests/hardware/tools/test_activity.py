# SPDX-License-Identifier: MIT
"""What energy goes by: counts of one run by hand, and of networks against what the engine's twin does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from fixedpoint_nn import calibrate, quantize, zoo
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.instructions import Halt, Instruction, Loop, Run, Set
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.hardware.tools.activity import Activity, activity
from fixedpoint_nn.network.quantized import fixed_samples

CONVOLUTION = Run(counts=(4, 3, 3, 2, 5, 6), last_channels=1)  # 36 taps, 2 tiles, 30 pixels


def counted(*program: Instruction, lanes: int = 8) -> Activity:
    code = (*program, Halt())
    plan = schedule(code, lanes)
    assert plan is not None
    return activity(code, lanes, plan)


def test_a_convolution() -> None:
    steps = 36 * 2 * 30
    assert counted(CONVOLUTION) == Activity(steps * 8, steps, steps, 30 * 9)


def test_a_pair_multiplies_once_and_reads_a_row_twice() -> None:
    run = Run(counts=(2, 1, 1, 3, 1, 1), last_channels=8, vector=True, paired=True)
    assert counted(run) == Activity(3 * 8, 6, 6 * 8, 24)


def test_groups_read_a_word_each_and_joined_ones_write_fewer() -> None:
    run = Run(counts=(9, 1, 1, 2, 1, 1), last_channels=2, groups=2, joined=True)
    assert counted(run) == Activity(18 * 8, 18, 18 * 4, 2 + 2)


def test_a_run_in_a_loop_counts_as_often_as_it_runs_and_one_that_only_searches_writes_nothing() -> None:
    once = Run(counts=(3, 1, 1, 1, 1, 1), last_channels=8)
    silent = Run(counts=(3, 1, 1, 1, 1, 1), last_channels=8, write=False, argmax=True)
    found = counted(Set(1, 5), once, silent, Loop(1, Set.words))
    assert found == Activity(2 * 5 * 3 * 8, 30, 30, 5 * 8)


@pytest.mark.parametrize(
    ("name", "shape"), [("moons", (8, 1, 1)), ("moons", (16, 4, 8)), ("bigram", (8, 2, 2))]
)
def test_steps_and_written_words_are_those_of_the_twin(name: str, shape: tuple[int, int, int]) -> None:
    x = zoo.samples(name, 5)
    fixed = quantize(zoo.load(name), calibrate(zoo.load(name), x, word=8))
    lanes, drain, words = shape
    lowered = lower(fixed.net, x.shape[1:], fixed.input.format, lanes, drain=drain, words=words)
    plan = schedule(lowered.instructions, lanes, drain, lowered.config.latency)
    assert plan is not None
    found = activity(lowered.instructions, lanes, plan)
    row = fixed_samples(fixed, x[:1]).ints.reshape(-1)
    result = Twin(lowered.config, lowered.images, lowered.input, row).run(writes=True)
    runs = {at for at, run in enumerate_runs(lowered.instructions)}
    assert found.multiply_accumulates == result.mac_cycles * lanes
    assert found.words_written == sum(len(write.addresses) for write in result.writes if write.place in runs)


def enumerate_runs(program: Sequence[Instruction]) -> Iterator[tuple[int, Run]]:
    at = 0
    for instruction in program:
        if isinstance(instruction, Run):
            yield at, instruction
        at += instruction.words
