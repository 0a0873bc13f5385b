# SPDX-License-Identifier: MIT
"""Random programs that stream their weights, as judges of a changed engine.

The bench prints every word that is written, the clock in which each row of weights is taken, and the status registers;
a judge wants all of it as the engine itself says it, which is compared with the twin first.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from tests.proof.judges import HARSH, Judge
from tests.support.engine_bench import compare, hexadecimal, source, write_images
from tests.support.random_programs import PACKED, first_output
from tests.support.streamed_programs import memory_for, streamed_program

SEEDS = range(12)
WORDS = 64  # that the host reads
INPUTS = np.full((3, 1), 3)


@cache
def _programs() -> list[tuple[Images, int]]:
    """Images and seeds of the noise."""
    return [streamed_program(seed, [PACKED[0]])[1:] for seed in SEEDS]


def _config() -> EngineConfig:
    """The engine for all of them."""
    engines = [streamed_program(seed, [PACKED[0]])[0] for seed in SEEDS]
    window = max(engine.weight_window for engine in engines)
    rows = max(len(images.weights) for images, _ in _programs())
    return replace(PACKED[0], weight_window=window, weight_depth=rows + window, program_depth=1024)


CONFIG = _config()


def judges(folder: Path) -> list[Judge]:
    """Each program with a memory of its own, and as a board's host runs it."""
    found = []
    for seed, (images, noise) in zip(SEEDS, _programs(), strict=True):
        memory, output = memory_for(seed), first_output(CONFIG)
        compare(CONFIG, images, INPUTS, 0, output, WORDS, simulator="verilator", seed=noise, memory=memory)
        place = folder / f"program {seed}"
        place.mkdir(parents=True)
        arguments = [
            *write_images(place, CONFIG, images),
            f"+inputs={hexadecimal(place / 'inputs.mem', INPUTS, CONFIG.activation_width)}",
            *(f"+vectors={len(INPUTS)}", "+input_words=1", "+input_address=0", f"+output_words={WORDS}"),
            *(f"+output_address={output}", f"+seed={noise}", "+limit=100000", "+hang=300000"),
            *(f"+{what}=/dev/stdout" for what in ("results", "trace", "arrivals")),
            *source(memory),
        ]
        one = Judge(f"streamed program {seed}", 0, tuple(arguments))
        found += [one, one.asked(*HARSH)]
    return found
