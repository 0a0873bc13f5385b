# SPDX-License-Identifier: MIT
"""Random networks whose next input is written while the engine computes, as judges of a changed engine.

The bench compares every word with the model's and prints every word that a program writes, how many words a busy engine
took from the host, and the clock of the end; a judge wants all of it as the engine itself says it.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import numpy as np

from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.sim.run import write_images, write_vectors
from fixedpoint_nn.numerics.arrays import Ints
from tests.proof.judges import Judge
from tests.support.random_networks import random_network

CASES = (("sequence", 3), ("dense", 1), ("dense", 5), ("image", 2), ("softmax", 1))
LANES, DRAIN = 4, 2
VECTORS = 5


@cache
def _networks() -> list[tuple[CompiledNetwork, Ints, Ints]]:
    """Programs with their inputs and the model's words."""
    found = []
    for kind, seed in CASES:
        case = random_network(kind, seed)
        x = case.batch[np.arange(VECTORS) % len(case.batch)]
        lowered = lower(
            case.fixed.net, x.shape[1:], x.format, lanes=LANES, drain=DRAIN, multiplier=0, ahead=True
        )
        found.append((lowered, x.ints.reshape(VECTORS, -1), case.fixed(x).ints.reshape(VECTORS, -1)))
    return found


def _config() -> EngineConfig:
    """The engine for all of them."""
    engines = [lowered.config for lowered, _, _ in _networks()]
    values = {f.name: max(getattr(engine, f.name) for engine in engines) for f in fields(EngineConfig)}
    return replace(engines[0], **values)


CONFIG = _config()


def judges(folder: Path) -> list[Judge]:
    """Each program, its first input written to the engine at rest, the others to a busy one."""
    found = []
    for number, (lowered, inputs, expected) in enumerate(_networks()):
        place, halves = folder / f"network {number}", lowered.halves
        assert halves is not None
        place.mkdir(parents=True)
        arguments = [*lowered.input.plusargs("input"), *lowered.output.plusargs("output")]
        for name, image in write_images(place, CONFIG, lowered.images).items():
            arguments += [f"+{name}_words={image.words}"] + ([f"+{name}={image.path}"] if image.words else [])
        for name, ints in (("inputs", inputs), ("expected", expected)):
            write_vectors(place / f"{name}.mem", ints, CONFIG.activation_width)
            arguments.append(f"+{name}={place / name}.mem")
        arguments += [
            *(f"+vectors={VECTORS}", "+seed=1", "+limit=100000", "+hang=1000000"),
            *(f"+second_input={halves.second.address}", f"+half={halves.word}"),
            *(f"+{what}=/dev/stdout" for what in ("results", "trace")),
        ]
        one = Judge(f"network {number}", 0, tuple(arguments))
        found += [one, one.asked("+disturb=1")]  # a host whose port shows anything while it writes nothing
    return found
