# SPDX-License-Identifier: MIT
"""What can arrive at each recorded run of an engine, whatever the input, and which of its words are ever read.

Intervals of integers, from the images alone: they hold every value that is possible, and perhaps others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.emulator.datapath import requantized
from fixedpoint_nn.hardware.faults.batch_emulator import Batch, Step
from fixedpoint_nn.hardware.faults.replay import Lean
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, Run
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numerics.arrays import Ints

Flags = NDArray[np.bool_]
RISING = ("SATURATE", "SATURATE_SYMMETRIC")  # a larger sum gives no smaller word
WIDEST = 62


@dataclass(frozen=True)
class Interval:
    """Lowest and highest values, element by element."""

    low: Ints
    high: Ints

    def times(self, low: Ints, high: Ints) -> Interval:
        """Products with what lies between these."""
        ends = [self.low * low, self.low * high, self.high * low, self.high * high]
        return Interval(np.minimum.reduce(ends), np.maximum.reduce(ends))

    def sum(self, axis: int) -> Interval:
        return Interval(self.low.sum(axis=axis), self.high.sum(axis=axis))


@dataclass(frozen=True)
class Range:
    """One recorded run: what its taps read, its sums and words, and which results matter later."""

    lean: Lean
    step: Step
    read: Interval  # as Lean reads, without samples
    sums: Interval  # (pixels, channels)
    words: Interval  # before the table
    values: Interval
    live: Flags | None = None  # (pixels, channels): a later run reads it with a weight, or the host does


def rises(run: Run, sums: Interval, parameters: Ints) -> Flags:
    """Where a larger sum of this interval gives no smaller word, so that the ends go to the ends."""
    if OVERFLOWS[run.overflow] in RISING:
        return np.ones(sums.low.shape, bool)
    wide = replace(
        run, out_bits=WIDEST, out_signed=True, overflow=OVERFLOWS.index("SATURATE"), relu_after=False
    )
    lowest = -(1 << run.out_bits - 1) if run.out_signed else 0
    ends = [requantized(wide, end, parameters)[0] for end in (sums.low, sums.high)]
    return np.asarray((ends[0] >= lowest) & (ends[1] < lowest + (1 << run.out_bits)))


def words_of(run: Run, sums: Interval, parameters: Ints) -> Interval:
    """The words that these sums may become."""
    low, high = (requantized(run, end, parameters)[0] for end in (sums.low, sums.high))
    lowest = (-(1 << run.out_bits - 1) if run.out_signed else 0) if not run.relu_after else 0
    highest = (1 << run.out_bits - int(run.out_signed)) - 1
    fits = rises(run, sums, parameters)
    return Interval(np.where(fits, low, lowest), np.where(fits, high, highest))


def _values_of(run: Run, words: Interval, tables: Ints) -> Interval:
    if not run.table:
        return words
    pairs, place = np.unique(np.stack([words.low.ravel(), words.high.ravel()]), axis=1, return_inverse=True)
    ends = []
    for low, high in pairs.T.tolist():
        entries = tables[run.table_base | np.arange(low, high + 1) & ((1 << run.out_bits) - 1)]
        ends.append((int(entries.min()), int(entries.max())))
    low, high = (np.array(part)[place.ravel()].reshape(words.low.shape) for part in zip(*ends, strict=True))
    return Interval(low, high)


class Ranges:
    """All runs of a recording, for inputs whose words lie in an interval.

    The recording's inputs give the registers all values that they can have.
    """

    def __init__(
        self, batch: Batch, steps: Sequence[Step], source: Port, result: Port, allowed: range
    ) -> None:
        self.memory = self.start(batch, source, allowed)
        first, self.runs = Interval(self.memory.low.copy(), self.memory.high.copy()), []
        for step in steps:
            self.runs.append(self.of(batch, step, Lean(batch, step), self.memory))
            if step.run.write:
                self.memory.low[step.addresses], self.memory.high[step.addresses] = (
                    self.runs[-1].values.low,
                    self.runs[-1].values.high,
                )
        self.memory = first
        self._mark(result, batch)

    @staticmethod
    def start(batch: Batch, source: Port, allowed: range) -> Interval:
        """The memory before the first run."""
        low = np.zeros(batch.config.activation_depth, np.int64)
        low[: len(batch.images.activations)] = batch.images.activations
        high = low.copy()
        low[source.addresses()], high[source.addresses()] = allowed[0], allowed[-1]
        return Interval(low, high)

    @staticmethod
    def of(batch: Batch, step: Step, lean: Lean, memory: Interval) -> Range:
        """What may happen in one run that finds this memory."""
        low, high = memory.low[lean.addresses].min(axis=0), memory.high[lean.addresses].max(axis=0)
        if lean.padding is not None:
            low[lean.padding] = high[lean.padding] = lean.fill
        read = Interval(low, high)
        sums = _sums(lean, read)
        words = words_of(step.run, sums, lean.parameters)
        return Range(lean, step, read, sums, words, _values_of(step.run, words, batch.images.tables))

    def _mark(self, result: Port, batch: Batch) -> None:
        live = np.zeros(batch.config.activation_depth, bool)
        live[result.addresses()] = True
        for number in range(len(self.runs) - 1, -1, -1):
            here = self.runs[number]
            matters = live[here.step.addresses] & here.step.run.write
            self.runs[number] = replace(here, live=matters)
            if here.step.run.write:
                live[here.step.addresses] = False
            for addresses in here.lean.addresses:
                live[addresses[_read_by(here.lean, matters)]] = True
        live[sorted(batch.loads)] = True
        self.live = live  # before the first run


def _sums(lean: Lean, read: Interval) -> Interval:
    if lean.matrix:
        columns = lean.columns[np.float64].astype(np.int64)
        plus, minus = np.maximum(columns, 0), np.minimum(columns, 0)
        low = read.low @ plus.T + read.high @ minus.T
        return Interval(low, read.high @ plus.T + read.low @ minus.T)
    if lean.run.paired:
        one, two = (Interval(read.low[:, :, k::2], read.high[:, :, k::2]) for k in (0, 1))
        sums = one.times(two.low, two.high).sum(2)
    elif lean.run.maximum:
        largest = Interval(read.low.max(axis=2), read.high.max(axis=2))
        sums = largest.times(lean.weights.min(axis=1)[None], lean.weights.max(axis=1)[None])
    else:
        sums = read.times(lean.weights[None], lean.weights[None]).sum(2)
    shape = (lean.pixels, lean.tiles, lean.lanes)
    flat = [
        np.broadcast_to(end, shape).reshape(lean.pixels, -1)[:, : lean.channels]
        for end in (sums.low, sums.high)
    ]
    return Interval(*flat)


def _read_by(lean: Lean, matters: Flags) -> Flags:
    """Which of the words that are read matter to these results; shaped as the addresses of one sample."""
    used: Flags = np.ones(lean.addresses.shape[1:], bool) if lean.padding is None else ~lean.padding
    if lean.matrix:
        heavy = lean.columns[np.float64] != 0
        return np.asarray(used & (matters.astype(np.float64) @ heavy > 0))
    full = np.zeros((lean.pixels, lean.tiles * lean.lanes), bool)
    full[:, : lean.channels] = matters
    lanes: Flags = full.reshape(lean.pixels, lean.tiles, 1, lean.lanes)
    if not (lean.run.paired or lean.run.maximum):
        lanes = lanes & (lean.weights != 0)[None]
    shape = tuple(used.shape)
    if shape[1] == 1:
        lanes = np.asarray(lanes.any(axis=1, keepdims=True))
    if shape[3] == 1:
        lanes = np.asarray(lanes.any(axis=3, keepdims=True))
    return np.asarray(used & lanes)
