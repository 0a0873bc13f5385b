# SPDX-License-Identifier: MIT
"""Random programs some of whose runs take their weights from outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Halt, Instruction, Loop, Run, Set, decode, encode
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory, passes_of, rows_of
from tests.support.random_programs import RandomSource, random_program

COUNTER = 7  # the register of a loop around the whole program


def streamed_program(seed: int, configs: list[EngineConfig]) -> tuple[EngineConfig, Images, int]:
    """An engine with a window, and a program most of whose runs are streamed, sometimes twice in a loop."""
    config, images, noise_seed = random_program(seed, configs)
    draw = RandomSource(seed + 1_000_000)
    program: list[Instruction] = []
    runs = [run for _, run in decode(images.program) if isinstance(run, Run)]
    for run in runs:
        streamed = not run.paired and not draw.one_in(4)
        program.append(replace(run, streamed=streamed))
    wanted = [rows_of(run) for run in program if isinstance(run, Run) and run.streamed]
    again = [rows_of(run) for run in program if isinstance(run, Run) and run.streamed and passes_of(run) > 1]
    window = max([2, *again]) + draw.between(0, 9) * draw.between(0, 3)
    rounds = draw.between(1, 2)
    if rounds > 1:
        begin = Set.words
        program = [Set(COUNTER, rounds), *program, Loop(COUNTER, begin)]
    stream = draw.words(config.weight_width, (rounds * sum(wanted), config.lanes))
    config = replace(
        config, weight_window=window, weight_depth=len(images.weights) + window, program_depth=1024
    )
    return config, replace(images, program=encode([*program, Halt()]), stream=stream), noise_seed


def memory_for(seed: int) -> WeightMemory | int:
    """A memory at a fixed rate, or with random pauses."""
    draw = RandomSource(seed + 2_000_000)
    return (
        draw.between(1, 1 << 20) if draw.one_in(2) else WeightMemory(draw.between(1, 9), draw.between(1, 60))
    )


def rows(seed: int, count: int, config: EngineConfig) -> np.ndarray:
    """Random rows of weights."""
    return RandomSource(seed).words(config.weight_width, (count, config.lanes))
