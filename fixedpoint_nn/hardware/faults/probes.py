# SPDX-License-Identifier: MIT
"""Probes: each run of a program alone, on words that show the bits of its weights, parameters and tables.

The outputs of a large network hide most low bits of its weights from any few inputs. A probe is a program of one run,
for one pixel, on the same images: the host writes what the run reads and reads what it writes, so that nothing stands
between a bit and the comparison. There are two for a run:

- of its parameters: the same requantiser, table and parameters, but pairs of words that the host writes instead of
  weights, so that every channel's sum is any that is wished for: between two words, where the lowest bit of a bias
  decides;
- of its weights: the sums without ReLU, table and saturation. Words are drawn within what can arrive there in the
  network, at the ends, few at a time, and so that sums come next to where they are floored: there the lowest bit of a
  weight decides.

Of what is drawn, those inputs are kept that show the most that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from fixedpoint_nn.hardware.emulator.emulator import EmulationError
from fixedpoint_nn.hardware.faults.dont_care import idle
from fixedpoint_nn.hardware.faults.fault import Flip
from fixedpoint_nn.hardware.faults.probe import Probe
from fixedpoint_nn.hardware.faults.probe_search import (
    PAIRS,
    ParameterSearch,
    Search,
    WeightSearch,
)
from fixedpoint_nn.hardware.faults.ranges import Range
from fixedpoint_nn.hardware.faults.replay import can_follow
from fixedpoint_nn.hardware.faults.untestable import Silent
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import SHIFT_BITS, Images
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS, Address, Run
from fixedpoint_nn.hardware.isa.port import Port

MOST_WORDS = 4096  # of one input


def probes(
    config: EngineConfig,
    images: Images,
    source: Port,
    result: Port,
    allowed: range,
    most: int,
    rng: np.random.Generator,
    say: Callable[[str], None] = lambda line: None,
) -> list[Probe]:
    """At most so many inputs for each run of a program whose addresses do not depend on the data."""
    try:
        silent = Silent(config, images, source, result, allowed)
    except EmulationError:
        return []  # what can arrive is not known
    if not can_follow(silent.batch, silent.batch.steps):
        return []
    spare, found = set(idle(config, images)), []
    done, open = set[Flip](), set[Flip]()
    for place in dict.fromkeys(here.step.place for here in silent.ranges.runs):
        same = [here for here in silent.ranges.runs if here.step.place == place]
        flips = [flip for flip in _bits(config, images, same[0]) if flip not in spare and flip not in done]
        proven = set(silent.proven(flips))
        left = [flip for flip in flips if flip not in proven]
        for search in _searches(config, images, same, rng):
            before = len(left)
            left = search.run(left, most)
            if search.chosen:
                found.append(search.probe(place))
                say(f"{found[-1].name}: {len(search.chosen)} inputs show {before - len(left)} bits")
        done |= set(flips) - set(left)
        open |= set(left)
    say(
        f"{len(open - done)} bits of weights, parameters and tables are neither shown alone nor proven silent"
    )
    return found


def _searches(
    config: EngineConfig, images: Images, same: list[Range], rng: np.random.Generator
) -> Iterator[Search]:
    run, registers = same[0].step.run, same[0].step.registers
    used = {address.register for address in (run.activation, run.weight, run.parameter, run.output)} - {0}
    if not run.write or run.argmax or run.noise or any(np.ndim(registers[register]) for register in used):
        return
    for first, made in _paired(config, same[0]):
        yield ParameterSearch(f"parameters{first or ''}", config, images, same, made, rng)
    alone = _alone(config, same[0])
    if alone is not None:
        yield WeightSearch("weights", config, images, same, alone, rng)


def _paired(config: EngineConfig, here: Range) -> Iterator[tuple[int, Run]]:
    """Two pairs of words for each channel, and the run's parameters; as many tiles at once as there is room for."""
    lean, lanes = here.lean, config.lanes
    each = (2 * PAIRS + 1) * lanes  # words of a tile and its results
    most = min(MOST_WORDS, config.activation_depth) // each
    tiles = 1 if lean.run.per_tile else lean.tiles
    if not most:
        return
    parts = -(-tiles // most)
    for part in range(parts):
        first, end = part * tiles // parts, (part + 1) * tiles // parts
        last = lean.run.last_channels if end == lean.tiles else lanes
        yield (
            first,
            replace(
                here.step.run,
                activation=Address(0),
                weight=Address(0),
                parameter=Address(lean.parameter_base + first * lanes),
                output=Address((end - first) * 2 * PAIRS * lanes),
                counts=(2 * PAIRS, 1, 1, end - first, 1, 1),
                strides=(lanes, 0, 0, 2 * PAIRS * lanes, 0, 0),
                last_channels=last,
                vector=True,
                paired=True,
                maximum=False,
                bounded=False,
                output_gap=0,
            ),
        )


def _alone(config: EngineConfig, here: Range) -> Run | None:
    """The run for one pixel, reading from the first row on; sums are floored, and nothing is cut off."""
    lean, run, lanes = here.lean, here.step.run, config.lanes
    if run.paired:
        return None  # it has no weights
    walk = np.abs(np.array(run.strides)[:4] * (np.array(run.counts[:4]) - 1))
    backward = np.minimum(np.array(run.strides)[:4], 0) * (np.array(run.counts[:4]) - 1)
    base = here.step.start(run.activation) % lanes - int(backward.sum())
    base = -(-base // lanes) * lanes if backward.any() else base
    words = -(-(base + int(walk.sum() + backward.sum()) + (lanes if run.vector else 1)) // lanes) * lanes
    words += lanes if run.vector else 0
    if words > MOST_WORDS or words + lean.channels > config.activation_depth:
        return None
    return replace(
        run,
        activation=Address(base),
        weight=Address(lean.weight_base),
        parameter=Address(lean.parameter_base),
        output=Address(words),
        counts=(*run.counts[:4], 1, 1),
        bounded=False,
        output_gap=0,
        strides=(*run.strides[:4], 0, 0),
        relu_before=False,
        relu_after=False,
        leak=0,
        table=False,
        rounding=ROUNDINGS.index("FLOOR"),
        overflow=OVERFLOWS.index("WRAP"),
        out_bits=config.activation_width,
        out_signed=True,
    )


def _bits(config: EngineConfig, images: Images, here: Range) -> Iterator[Flip]:
    """Every bit of the images that the run reads."""
    lean = here.lean
    if not lean.run.paired:
        for row in range(lean.weight_base, lean.weight_base + len(lean.weights) * lean.taps):
            for bit in range(config.lanes * config.weight_width):
                yield Flip("weights", row, bit)
    count = min(lean.channels, lean.lanes) if lean.run.per_tile else lean.channels
    for word in range(lean.parameter_base, lean.parameter_base + count):
        for bit in range(SHIFT_BITS + config.bias_width):
            yield Flip("parameters", word, bit)
    if lean.run.table:
        for word in range(lean.run.table_base, lean.run.table_base + (1 << lean.run.out_bits)):
            for bit in range(config.activation_width):
                yield Flip("tables", word, bit)
