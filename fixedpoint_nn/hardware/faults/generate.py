# SPDX-License-Identifier: MIT
"""Golden vectors that show flipped bits: inputs whose outputs depend on bits that no other vector's do.

A small network is searched to the end: every bit, and every input that there is. Then a bit that the vectors
do not show is one that no output depends on. Of a larger one, bits and inputs are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork
from fixedpoint_nn.hardware.emulator.emulator import EmulationError
from fixedpoint_nn.hardware.faults.dont_care import idle
from fixedpoint_nn.hardware.faults.fault import Flip, every_flip
from fixedpoint_nn.hardware.faults.fault_simulator import Shown
from fixedpoint_nn.hardware.vectors import stimuli
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numerics.arrays import Ints

FEW_BITS = 1 << 18
FEW_CYCLES = 10_000  # of one sample
# Of a larger network: at most so many bits, and cycles for all of them (more where a flip can be followed).
DRAWN_BITS, BIT_CYCLES, FOLLOWED_CYCLES = 20_000, 100_000_000, 600_000_000
DRAWN_INPUTS, INPUT_CYCLES = 128, 20_000_000  # at least so many inputs; more, if they are quick to follow
CHUNK, MOST_AT_ONCE = 512, 8192  # inputs that are tried at once


def exposing(lowered: CompiledNetwork, vectors: FixedArray, most: int, seed: int) -> FixedArray | None:
    """At most so many inputs, each of which shows flipped bits that neither the vectors nor the others show."""
    rng = np.random.default_rng(seed)
    rows = vectors.ints.reshape(len(vectors), -1)
    try:
        shown = Shown(lowered.config, lowered.images, lowered.input, lowered.output, rows)
    except EmulationError:
        return None  # its jumps depend on the data
    left = _drawn(list(every_flip(lowered.config, lowered.images)), shown, rng)
    spare = set(idle(lowered.config, lowered.images))
    left = _unseen(shown, [flip for flip in left if flip not in spare])
    chosen: list[Ints] = []
    for pool in _pools(lowered.program, vectors, shown, rng):
        if not left or len(chosen) >= most:
            break
        tried = Shown(lowered.config, lowered.images, lowered.input, lowered.output, pool)
        seen = tried.shows(left)
        while len(chosen) < most and seen.any():
            best = int(seen.sum(axis=0).argmax())
            chosen.append(pool[best])
            keep = np.flatnonzero(~seen[:, best])
            left, seen = [left[n] for n in keep], seen[keep]
    if not chosen:
        return None
    return FixedArray.from_ints(np.array(chosen).reshape(-1, *vectors.shape[1:]), vectors.format)


def _unseen(shown: Shown, flips: list[Flip]) -> list[Flip]:
    """Those that no input shows."""
    return [flips[n] for n in np.flatnonzero(~shown.shows(flips).any(axis=1))]


def _drawn(flips: list[Flip], shown: Shown, rng: np.random.Generator) -> list[Flip]:
    if len(flips) <= FEW_BITS and shown.cycles <= FEW_CYCLES:
        return flips
    budget = FOLLOWED_CYCLES if shown.straight else BIT_CYCLES
    count = int(np.clip(budget // shown.cycles, 1, min(DRAWN_BITS, len(flips))))
    return [flips[n] for n in np.sort(rng.choice(len(flips), count, replace=False))]


def _pools(program: Program, samples: FixedArray, shown: Shown, rng: np.random.Generator) -> Iterator[Ints]:
    """Inputs to try: all of them in random order, or candidates for corners."""
    every = stimuli.every_input(program, samples) if shown.cycles <= FEW_CYCLES else None
    if every is None:
        count = max(DRAWN_INPUTS, INPUT_CYCLES // shown.cycles if shown.straight else 0)
        drawn = stimuli.candidates(program, samples, count, rng)
        yield drawn.ints.reshape(len(drawn), -1)
        return
    every, begin, chunk = rng.permutation(every), 0, CHUNK
    while begin < len(every):  # fewer and fewer flips are left for more and more inputs
        yield every[begin : begin + chunk]
        begin, chunk = begin + chunk, min(2 * chunk, MOST_AT_ONCE)
