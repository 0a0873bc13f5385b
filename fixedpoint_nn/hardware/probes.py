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

from fixedpoint_nn.hardware.batch import Batch
from fixedpoint_nn.hardware.columns import can_follow
from fixedpoint_nn.hardware.edges import Edges, Floats
from fixedpoint_nn.hardware.emulate import EmulationError
from fixedpoint_nn.hardware.engine import SHIFT_BITS, EngineConfig, Images, Ints
from fixedpoint_nn.hardware.flips import Flip
from fixedpoint_nn.hardware.idle import idle
from fixedpoint_nn.hardware.isa import OVERFLOWS, ROUNDINGS, Address, Halt, Run, encode
from fixedpoint_nn.hardware.port import Port
from fixedpoint_nn.hardware.probe import Probe
from fixedpoint_nn.hardware.ranges import Range
from fixedpoint_nn.hardware.shown import Shown
from fixedpoint_nn.hardware.silent import Silent
from fixedpoint_nn.qformat import QFormat

MOST_WORDS = 4096  # of one input
PAIRS = 2
POOL, PATIENCE = 8, 40  # inputs of a round; rounds in which nothing new is shown


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
    say(f"{len(open - done)} bits of weights, parameters and tables are neither shown alone nor proven silent")
    return found


def _searches(config: EngineConfig, images: Images, same: list[Range], rng: np.random.Generator) -> Iterator[_Search]:
    run, registers = same[0].step.run, same[0].step.registers
    used = {address.register for address in (run.activation, run.weight, run.parameter, run.output)} - {0}
    if not run.write or run.argmax or run.noise or any(np.ndim(registers[register]) for register in used):
        return
    for first, made in _paired(config, same[0]):
        yield _Parameters(f"parameters{first or ''}", config, images, same, made, rng)
    alone = _alone(config, same[0])
    if alone is not None:
        yield _Weights("weights", config, images, same, alone, rng)


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
        yield first, replace(
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
        )


def _alone(config: EngineConfig, here: Range) -> Run | None:
    """The run for one pixel, reading from the first row on; sums are floored, and nothing is cut off."""
    lean, run, lanes = here.lean, here.step.run, config.lanes
    if run.paired:
        return None  # it has no weights
    walk = np.abs(np.array(run.strides)[:4] * (np.array(run.counts[:4]) - 1))
    backward = np.minimum(np.array(run.strides)[:4], 0) * (np.array(run.counts[:4]) - 1)
    base = (run.activation.base + _register(here, run.activation.register)) % lanes - int(backward.sum())
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


def _register(here: Range, register: int) -> int:
    return int(here.step.registers[register]) if register else 0


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


class _Search:
    """Inputs of one program of one run."""

    def __init__(
        self,
        name: str,
        config: EngineConfig,
        images: Images,
        same: list[Range],
        run: Run,
        rng: np.random.Generator,
    ) -> None:
        self.name, self.config, self.rng = name, config, rng
        self.images = replace(images, program=encode([run, Halt()]))
        format, words = QFormat(config.activation_width, 0), run.output.base
        channels = (run.counts[3] - 1) * config.lanes + run.last_channels
        self.input = Port((words,), format, 0, words, words)
        self.output = Port((channels,), format, words, channels, channels)
        self.lean = self.shown(np.zeros((1, words), np.int64)).columns.leans[0]
        self.addresses = self.lean.addresses[0, 0]  # of what is read, in the order of the taps (and lanes)
        self.chosen: list[Ints] = []
        self.prepare(same)

    def prepare(self, same: list[Range]) -> None:
        """What the pool needs."""

    def pool(self, left: list[Flip]) -> list[Ints]:
        """Words for the taps."""
        raise NotImplementedError

    def shown(self, inputs: Ints) -> Shown:
        return Shown(self.config, self.images, self.input, self.output, inputs)

    def run(self, left: list[Flip], most: int) -> list[Flip]:
        """Choose inputs; what no chosen one shows is returned."""
        patience = PATIENCE
        while left and patience and len(self.chosen) < most:
            pool = self._inputs(self.pool(left))
            seen = self.shown(pool).shows(left)
            patience = PATIENCE if seen.any() else patience - 1
            first = int(seen.sum(axis=0).max())
            while len(self.chosen) < most and seen.any():
                best = int(seen.sum(axis=0).argmax())
                if 2 * int(seen[:, best].sum()) < first:
                    break  # the next pool may have better ones
                self.chosen.append(pool[best])
                keep = np.flatnonzero(~seen[:, best])
                left, seen = [left[n] for n in keep], seen[keep]
        return left

    def _inputs(self, parts: list[Ints]) -> Ints:
        inputs = np.zeros((len(parts), self.input.words), np.int64)
        for row, part in zip(inputs, parts, strict=True):
            row[self.addresses.ravel()] = np.asarray(part).ravel()
        return inputs

    def probe(self, place: int) -> Probe:
        """With what the engine's twin gives."""
        vectors = np.array(self.chosen)
        batch = Batch(self.config, self.images, len(vectors))
        batch.put(self.input, vectors)
        cycles = batch.run().cycles
        program = tuple(self.images.program)
        name = f"probe{place}_{self.name}"
        return Probe(name, place, program, self.input, self.output, vectors, batch.get(self.output), cycles)


class _Parameters(_Search):
    """Any sum for every channel."""

    def pool(self, left: list[Flip]) -> list[Ints]:
        run, entries = self.lean.run, np.array([], np.int64)
        if run.table:
            span = 1 << run.out_bits
            entries = np.unique([flip.word - run.table_base for flip in left if flip.kind == "tables"]).astype(np.int64)
            entries -= np.where(entries >= span >> 1, span, 0) if run.out_signed else 0
        return [self._one(entries if number % 2 else entries[:0]) for number in range(2 * POOL)]

    def _one(self, entries: Ints) -> Ints:
        """Sums at, and a little off, the middle between two words; each is a product of large words and a rest."""
        run, rng, lean = self.lean.run, self.rng, self.lean
        most = (1 << self.config.activation_width - 1) - 1
        shift, bias = lean.parameters.T
        span = 1 << run.out_bits
        least = -(span >> 1) if run.out_signed else 0
        reach = max(2, span >> int(rng.integers(0, min(6, run.out_bits))))
        word = least + span // 2 + rng.integers(-reach // 2, reach // 2 + 1, lean.channels)
        if not run.out_signed:
            word = rng.integers(0, reach, lean.channels)
        if len(entries):  # of the table, those that are left
            word = np.resize(rng.permutation(entries), lean.channels)
        middle = np.where(shift > 0, (1 << np.maximum(shift, 1)) >> 1, 0)
        off = rng.integers(-1, 2, lean.channels) * (1 << rng.integers(0, 3, lean.channels))
        sums = (word << shift) + middle + np.where(rng.random() < 0.7, off, 0) - bias
        large = np.clip(sums // most, -most - 1, most)
        rest = np.clip(sums - large * most, -most - 1, most)
        words = np.zeros((lean.tiles * lean.lanes, 2 * PAIRS), np.int64)
        words[: lean.channels] = np.stack([large, np.full_like(large, most), rest, np.ones_like(rest)], axis=1)
        return np.asarray(words.reshape(lean.tiles, lean.lanes, -1).transpose(0, 2, 1))


class _Weights(_Search):
    """Words that the taps read."""

    def prepare(self, same: list[Range]) -> None:
        low = np.minimum.reduce([here.read.low.min(axis=0) for here in same])
        high = np.maximum.reduce([here.read.high.max(axis=0) for here in same])
        least = -(1 << self.config.activation_width - 1)
        self.low, self.high = np.maximum(np.minimum(low, 0), least), np.maximum(high, 0)
        ends = self.low.astype(np.float64), self.high.astype(np.float64)
        self.edges = Edges(self.lean, *ends) if self.lean.matrix else None

    def pool(self, left: list[Flip]) -> list[Ints]:
        shape, rng = self.low.shape, self.rng
        parts = []
        for number in range(POOL):
            drawn = rng.integers(self.low, self.high + 1)
            ends = np.where(rng.random(shape) < rng.random(), self.low, self.high)
            kind = number % 4
            if kind == 0:
                part = np.where(rng.random(shape) < rng.choice([0, 0.5, 0.9]), drawn, ends)
            elif kind == 1:  # few words, and small ones
                part = np.where(rng.random(shape) < rng.choice([0.02, 0.1, 0.3]), drawn, 0)
            elif kind == 2 or self.edges is None:
                part = drawn // int(rng.choice([1, 2, 4, 8, 16, 64]))
            else:
                part = self.edges.draw(1, self._wanted(left), rng)[0]
            parts.append(part)
        if self.edges is not None:
            parts += list(self.edges.draw(POOL, self._wanted(left), rng))
        return parts

    def _wanted(self, left: list[Flip]) -> Floats:
        """How many bits of each channel are left."""
        lean, wanted = self.lean, np.full(self.lean.tiles * self.lean.lanes, 1e-3)
        for flip in left:
            if flip.kind == "weights":
                lane = flip.bit // self.config.weight_width
                wanted[(flip.word - lean.weight_base) // lean.taps * lean.lanes + lane] += 1
            elif flip.kind == "parameters":
                wanted[flip.word - lean.parameter_base] += 1
        return wanted[: lean.channels]
