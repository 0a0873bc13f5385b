# SPDX-License-Identifier: MIT
"""Recorded runs of a `Batch` executed again in many memories at once, each with its own change of an image.

Words are float32 and sums float32 or float64, whichever holds them exactly: a sum of products is a matrix
product, a shift a multiplication by a power of two, and nothing is rounded but by `np.rint` and `np.floor`.
Addresses and padding are those of the recording. One column of the memory is one case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.emulator.datapath import requantized
from fixedpoint_nn.hardware.faults.batch_emulator import Batch, Step
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS
from fixedpoint_nn.numerics.arrays import Ints

Floats = NDArray[np.floating[Any]]
MOST_BITS = 24  # of a word that float32 holds


def _none() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Changes:
    """What differs from the images, case by case: `cases` are columns, the other arrays belong to them."""

    kind: str = ""
    cases: Ints = field(default_factory=_none)
    words: Ints = field(default_factory=_none)  # row of weights, word of parameters, or of tables
    lanes: Ints = field(default_factory=_none)  # of weights
    values: Ints = field(default_factory=_none)  # added to the weight; {shift, bias}; the table's word

    def of(self, base: int, count: int) -> tuple[Ints, Ints]:
        """Which changes are in these words, and how far in."""
        here = np.flatnonzero((self.words >= base) & (self.words < base + count))
        return here, self.words[here] - base


NO_CHANGES = Changes()


class Lean:
    """One recorded run with its addresses, weights and parameters at hand."""

    def __init__(self, batch: Batch, step: Step) -> None:
        run, self.run = step.run, step.run
        self.lanes, self.tiles, self.taps = batch.config.lanes, run.counts[3], int(np.prod(run.counts[:3]))
        self.pixels, self.channels = step.words.shape[1:]
        batch.registers = step.registers
        walk, padded, _ = batch.reads(run, step.place, np.arange(self.pixels), step.issue)
        self.matrix = not (run.paired or run.maximum or run.vector) and walk.shape[2] == 1
        used = ~padded[None]  # (1, pixels, 1, taps)
        if run.vector:
            walk = (walk // self.lanes * self.lanes)[..., None] + np.arange(self.lanes)
            active = np.ones((1, 1, walk.shape[2], 1, self.lanes), bool)
            if walk.shape[2] == self.tiles:
                active[:, :, -1, :, run.last_channels :] = False
            used = used[..., None] & active
        elif not self.matrix:
            walk, used = walk[..., None], used[..., None]
        if self.matrix:
            walk, used = walk[:, :, 0], used[:, :, 0]  # (samples or 1, pixels, taps)
        used = np.broadcast_to(used, walk.shape)
        self.addresses, self.padding = np.where(used, walk, 0), None if used.all() else ~used[0]
        self.fill = -(1 << batch.config.activation_width - 1) if run.maximum else 0
        self.weight_base = step.start(run.weight)
        self.parameter_base = step.start(run.parameter)
        rows = None if run.paired else batch._weights(run, step.place, self.taps)
        if rows is None:
            rows = np.zeros((1 if run.per_tile else self.tiles, self.taps, self.lanes), np.int64)
        self.weights = rows  # (tiles or 1, taps, lanes)
        full = np.broadcast_to(rows, (self.tiles, self.taps, self.lanes))
        columns = full.transpose(0, 2, 1).reshape(-1, self.taps)[: self.channels]
        self.heaviest = int(np.abs(columns).sum(axis=1).max()) if not run.paired else 0
        self.columns = (
            {kind: columns.astype(kind) for kind in (np.float32, np.float64)} if self.matrix else {}
        )
        self.parameters = batch._parameters(run, step.place, self.tiles, self.channels)
        self.shift = self.parameters[:, 0]
        self.largest_bias = int(np.abs(self.parameters[:, 1]).max(initial=0))
        self.tables = batch.images.tables.astype(np.float32)
        self.out = step.addresses  # (pixels, channels)
        self.flip = 1 << batch.config.weight_width  # the most that a flipped weight changes by

    def __call__(self, memory: Floats, samples: Ints, changes: Changes) -> None:
        """Execute the run in every column."""
        sums = self._sums(memory, samples, changes)  # (pixels, channels, cases)
        words = self._words(sums)
        if changes.kind == "parameters":
            self._change_parameters(sums, words, changes)
        if self.run.table:
            words = self._looked_up(words, changes)
        if self.run.write:
            memory[self.out.ravel()] = words.reshape(-1, words.shape[2])

    def _read(self, memory: Floats, samples: Ints) -> Floats:
        if len(self.addresses) == 1:
            read = memory[self.addresses[0]]
        else:
            chosen = np.moveaxis(self.addresses[samples], 0, -1)
            read = memory[chosen, np.arange(len(samples))]
        if self.padding is not None:
            read[self.padding] = self.fill
        return np.asarray(read)

    def _sums(self, memory: Floats, samples: Ints, changes: Changes) -> Floats:
        read = self._read(memory, samples)
        peak = float(max(read.max(initial=0), -read.min(initial=0)))
        weight = self.taps * peak if self.run.paired else self.heaviest + self.flip
        kind = np.float32 if peak * weight + self.largest_bias < 1 << 24 else np.float64
        read = read.astype(kind, copy=False)
        if self.matrix:
            sums = self.columns[kind] @ read
        elif self.run.paired:
            sums = self._merged((read[:, :, 0::2] * read[:, :, 1::2]).sum(axis=2))
        elif self.run.maximum:
            sums = self._merged(self._largest(read))
        else:
            sums = self._merged((read * self.weights[None, ..., None].astype(kind)).sum(axis=2))
        if changes.kind == "weights" and not self.run.paired:
            self._change_weights(sums, read, changes)
        return np.asarray(sums)

    def _largest(self, read: Floats) -> Floats:
        place = read.argmax(axis=2)[:, :, None]
        best = np.take_along_axis(read, place, 2)
        weights = np.broadcast_to(self.weights[None, ..., None], read.shape)
        return np.asarray((best * np.take_along_axis(weights, place, 2))[:, :, 0])

    def _merged(self, sums: Floats) -> Floats:
        """(pixels, tiles or 1, lanes or 1, cases) to (pixels, channels, cases)."""
        shape = (len(sums), self.tiles, self.lanes, sums.shape[3])
        same = sums.shape == shape
        full = sums if same else np.broadcast_to(sums, shape).copy()
        return full.reshape(len(sums), -1, sums.shape[3])[:, : self.channels]

    def _change_weights(self, sums: Floats, read: Floats, changes: Changes) -> None:
        here, offset = changes.of(self.weight_base, len(self.weights) * self.taps)
        if not len(here):
            return
        if self.run.maximum:
            raise ValueError("a changed weight of a maximum is no change of a sum")
        tile, tap = offset // self.taps, offset % self.taps
        for further in range(self.tiles) if self.run.per_tile else (0,):
            channel = (tile + further) * self.lanes + changes.lanes[here]
            meant = channel < self.channels
            case, k = changes.cases[here][meant], tap[meant]
            if self.matrix:
                word = read[:, k, case]
            else:
                at = np.minimum((tile + further)[meant], read.shape[1] - 1)
                word = read[:, at, k, np.minimum(changes.lanes[here][meant], read.shape[3] - 1), case]
            sums[:, channel[meant], case] += (word * changes.values[here][meant]).astype(sums.dtype)

    def _words(self, sums: Floats) -> Floats:
        run, kind = self.run, sums.dtype.type
        rounding, overflow = ROUNDINGS[run.rounding], OVERFLOWS[run.overflow]
        exact = rounding in ("FLOOR", "HALF_EVEN") and overflow in ("WRAP", "SATURATE")
        if not exact or run.out_bits > MOST_BITS:
            return self._requantized(sums, self.parameters)
        words = sums + self.parameters[:, 1].astype(kind)[:, None]
        if run.relu_before:
            np.maximum(words, 0, out=words)
        if run.leak:
            words *= np.where(words < 0, kind(2.0**-run.leak), kind(1))
        words *= np.exp2(-self.shift.astype(kind))[:, None]
        (np.floor if rounding == "FLOOR" else np.rint)(words, out=words)
        span = 1 << run.out_bits
        low = -(span >> 1) if run.out_signed else 0
        if overflow == "SATURATE":
            np.clip(words, low, low + span - 1, out=words)
        else:
            words -= np.floor((words - low) / span) * span
        if run.relu_after:
            np.maximum(words, 0, out=words)
        return np.asarray(words)

    def _requantized(self, sums: Floats, parameters: Ints) -> Floats:
        pixels, channels, cases = sums.shape
        flat = np.moveaxis(sums, 1, 2).reshape(-1, channels).astype(np.int64)
        words = requantized(self.run, flat, parameters)[0]
        return np.moveaxis(words.reshape(pixels, cases, channels), 2, 1).astype(np.float32)

    def _change_parameters(self, sums: Floats, words: Floats, changes: Changes) -> None:
        count = min(self.channels, self.lanes) if self.run.per_tile else self.channels
        here, offset = changes.of(self.parameter_base, count)
        if not len(here):
            return
        case = changes.cases[here]
        for further in range(self.tiles) if self.run.per_tile else (0,):
            channel = offset + further * self.lanes
            meant = channel < self.channels
            place = channel[meant], case[meant]
            chosen = sums[:, place[0], place[1]].astype(np.int64)
            words[:, place[0], place[1]] = requantized(self.run, chosen, changes.values[here][meant])[0]

    def _looked_up(self, words: Floats, changes: Changes) -> Floats:
        index = self.run.table_base | words.astype(np.int32) & ((1 << self.run.out_bits) - 1)
        values = self.tables[index]
        if changes.kind == "tables":
            here, _ = changes.of(self.run.table_base, 1 << self.run.out_bits)
            if len(here):
                case = changes.cases[here]
                met = index[:, :, case] == changes.words[here]
                values[:, :, case] = np.where(met, changes.values[here], values[:, :, case])
        return np.asarray(values)


def can_follow(batch: Batch, steps: Sequence[Step]) -> bool:
    """Are all these runs of the kind that is exact here?"""
    config = batch.config
    simple = not any(step.run.modelled and (config.model_width or config.product_bits) for step in steps)
    return simple and config.activation_width <= MOST_BITS and config.accumulator_width <= 50


class Columns:
    """The recorded runs, to be executed from any of them on."""

    def __init__(self, batch: Batch, steps: Sequence[Step]) -> None:
        self.leans = [Lean(batch, step) for step in steps]

    def run(self, first: int, memory: Ints, samples: Ints, changes: Changes = NO_CHANGES) -> Floats:
        """The memories after the last run, from those before run `first`; columns belong to these samples."""
        columns = memory.astype(np.float32)
        for lean in self.leans[first:]:
            lean(columns, samples, changes)
        return columns
