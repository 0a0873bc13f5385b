# SPDX-License-Identifier: MIT
"""Inputs of a program of one run: drawn by what the bits of parameters or weights need, chosen by what they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixedpoint_nn.hardware.faults.batch_emulator import Batch
from fixedpoint_nn.hardware.faults.fault import Flip
from fixedpoint_nn.hardware.faults.fault_simulator import Shown
from fixedpoint_nn.hardware.faults.probe import Probe
from fixedpoint_nn.hardware.faults.ranges import Range
from fixedpoint_nn.hardware.faults.rounding_edges import Edges, Floats
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Halt, Run, encode
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat

PAIRS = 2  # of words for each channel that the host writes instead of weights
POOL, PATIENCE = 8, 40  # inputs of a round; rounds in which nothing new is shown


class Search:
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


class ParameterSearch(Search):
    """Any sum for every channel."""

    def pool(self, left: list[Flip]) -> list[Ints]:
        run, entries = self.lean.run, np.array([], np.int64)
        if run.table:
            span = 1 << run.out_bits
            entries = np.unique(
                [flip.word - run.table_base for flip in left if flip.kind == "tables"]
            ).astype(np.int64)
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
        words[: lean.channels] = np.stack(
            [large, np.full_like(large, most), rest, np.ones_like(rest)], axis=1
        )
        return np.asarray(words.reshape(lean.tiles, lean.lanes, -1).transpose(0, 2, 1))


class WeightSearch(Search):
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
