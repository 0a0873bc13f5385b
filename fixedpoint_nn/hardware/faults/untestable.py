# SPDX-License-Identifier: MIT
"""Bits that no output depends on, proven for every input by what can arrive where they are read.

A flip is silent if every run that meets it writes the same words as before: because it multiplies what is
always 0, because the word is the same for all sums that can arrive (a unit that is always cut off, bits that
wrap away, an overflow that never happens), because no sum picks that entry of a table, or because nothing reads
the word.
Then the memory is the same after each run, and what can arrive at the next one stays as it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from fixedpoint_nn.hardware.emulator.datapath import requantized
from fixedpoint_nn.hardware.emulator.emulator import EmulationError
from fixedpoint_nn.hardware.faults.batch_emulator import Batch
from fixedpoint_nn.hardware.faults.fault import Flip, flipped, flipped_parameter, flipped_word
from fixedpoint_nn.hardware.faults.ranges import Flags, Interval, Range, Ranges, rises
from fixedpoint_nn.hardware.faults.replay import Lean
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import SHIFT_BITS, Images
from fixedpoint_nn.hardware.isa.instructions import AssemblyError, Run
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numerics.arrays import Ints

FEW = 1 << 16  # sums that are tried one by one
AT_ONCE = 1 << 21
SETTINGS = ("relu_before", "relu_after", "leak", "rounding", "overflow", "out_bits", "out_signed")


class Silent:
    """The question of one engine with its images, for inputs whose words are `allowed`."""

    def __init__(
        self, config: EngineConfig, images: Images, source: Port, result: Port, allowed: range
    ) -> None:
        self.config, self.images, self.source, self.result, self.allowed = (
            config,
            images,
            source,
            result,
            allowed,
        )
        self.batch = self._recorded(images)
        self.ranges = Ranges(self.batch, self.batch.steps, source, result, allowed)

    def _recorded(self, images: Images) -> Batch:
        """Executed with every word at every place, if words become registers: they have all values then."""
        for samples in (1, len(self.allowed)):
            batch = self._given_words(images, samples)
            self.cycles = batch.run().cycles
            if not batch.loads:
                break
        if batch.stores or not batch.loads <= set(self.source.addresses().tolist()):
            raise EmulationError(
                "nothing is proven of a program that makes addresses or places of a largest word"
            )
        return batch

    def _given_words(self, images: Images, samples: int) -> Batch:
        """In each sample the places hold different words, so that a register tells which of them it was loaded from."""
        batch = Batch(self.config, images, samples)
        place = np.arange(samples)[:, None] + np.arange(self.source.words)
        batch.put(self.source, self.allowed[0] + place % len(self.allowed))
        batch.record = True
        return batch

    def proven(self, flips: Iterable[Flip]) -> list[Flip]:
        """Those of the flips that no output depends on."""
        by_kind: dict[str, list[Flip]] = defaultdict(list)
        for flip in flips:
            by_kind[flip.kind].append(flip)
        found = self._weights(by_kind["weights"])
        for kind, holds in (
            ("parameters", self._parameter),
            ("tables", self._table),
            ("activations", self._constant),
            ("program", self._program),
        ):
            found += [flip for flip in by_kind[kind] if holds(flip)]
        return found

    # ---- weights -------------------------------------------------------------------------------------------

    def _weights(self, flips: list[Flip]) -> list[Flip]:
        if not flips:
            return []
        lanes, width = self.config.lanes, self.config.weight_width
        row, bit = (np.array([getattr(flip, name) for flip in flips]) for name in ("word", "bit"))
        lane, bit = divmod(bit, width)
        old = self.images.weights[row, lane]
        change = np.where(bit == width - 1, -1, 1) * np.where(old >> bit & 1, -1, 1) << bit
        silent = np.ones(len(flips), bool)
        for here in self.ranges.runs:
            lean = here.lean
            offset = row - lean.weight_base
            meant = silent & (offset >= 0) & (offset < len(lean.weights) * lean.taps)
            if lean.run.paired or not meant.any():
                continue
            tile, tap = divmod(offset, lean.taps)
            for further in range(lean.tiles) if lean.run.per_tile else (0,):
                channel = (tile + further) * lanes + lane
                at = np.flatnonzero(meant & silent & (channel < lean.channels))
                if lean.run.maximum:
                    silent[at] = False
                for begin in range(0, len(at), max(1, AT_ONCE // lean.pixels)):
                    part = at[begin : begin + max(1, AT_ONCE // lean.pixels)]
                    silent[part] = _unchanged(here, tap[part], channel[part], lane[part], change[part])
        return [flips[n] for n in np.flatnonzero(silent)]

    # ---- the other images ----------------------------------------------------------------------------------

    def _parameter(self, flip: Flip) -> bool:
        changed = np.array(
            [flipped_parameter(self.images.parameters[flip.word], flip.bit, self.config.bias_width)]
        )
        for here in self.ranges.runs:
            lean = here.lean
            count = min(lean.channels, lean.lanes) if lean.run.per_tile else lean.channels
            channel = flip.word - lean.parameter_base
            if not 0 <= channel < count:
                continue
            if changed[0, 0] + lean.run.leak >= 1 << SHIFT_BITS:
                return False
            for place in range(channel, lean.channels, lean.lanes if lean.run.per_tile else lean.channels):
                if not _same(here, here.lean.run, place, changed):
                    return False
        return True

    def _table(self, flip: Flip) -> bool:
        for here in self.ranges.runs:
            run, span = here.lean.run, 1 << here.lean.run.out_bits
            if not run.table or not run.table_base <= flip.word < run.table_base + span:
                continue
            word = flip.word - run.table_base
            word -= span if run.out_signed and word >= span >> 1 else 0
            assert here.live is not None
            if (here.live & (here.words.low <= word) & (word <= here.words.high)).any():
                return False
        return True

    def _constant(self, flip: Flip) -> bool:
        width = self.config.activation_width
        lane, bit = divmod(flip.bit, width)
        address = flip.word * self.config.lanes + lane
        if address >= len(self.images.activations) or address in self._given or not self.ranges.live[address]:
            return True
        if address in self.batch.loads:
            return False
        old = int(self.images.activations[address])
        change = flipped_word(old, bit, width) - old
        for here in self.ranges.runs:
            lean = here.lean
            hits = (lean.addresses == address).any(axis=0)
            hits = hits if lean.padding is None else hits & ~lean.padding
            if hits.any() and (not lean.matrix or hits.sum(axis=1).max() > 1):
                return False
            for pixel, tap in np.argwhere(hits).tolist():
                for channel in np.flatnonzero(lean.columns[np.float64][:, tap]).tolist():
                    assert here.live is not None
                    moved = int(lean.columns[np.float64][channel, tap]) * change
                    if here.live[pixel, channel] and not _moves_nothing(here, pixel, channel, moved):
                        return False
            if lean.run.write and (here.step.addresses == address).any():
                return True
        return True

    @cached_property
    def _given(self) -> set[int]:
        return set(self.source.addresses().tolist())

    # ---- the program ---------------------------------------------------------------------------------------

    def _program(self, flip: Flip) -> bool:
        """The same runs in the same cycles, and those that differ make the same words of the same sums."""
        try:
            batch = self._given_words(flipped(self.images, self.config, flip), self.batch.samples)
            cycles = batch.run(limit=20 * self.batch.runs + 1000).cycles
            if cycles != self.cycles or len(batch.steps) != len(self.ranges.runs) or batch.stores:
                return False
            if batch.loads and (len(self.allowed) < self.source.words or not batch.loads <= self._given):
                return False  # where a register comes from is not known
            return all(self._alike(batch, number) for number in range(len(batch.steps)))
        except (EmulationError, AssemblyError, IndexError, ValueError, OverflowError):
            return False

    def _alike(self, batch: Batch, number: int) -> bool:
        before, step = self.ranges.runs[number], batch.steps[number]
        old, new = before.step.run, step.run
        equal = {k: np.array_equal(v, step.registers.get(k)) for k, v in before.step.registers.items()}  # type: ignore[arg-type]
        if old == new and all(equal.values()) and len(equal) == len(step.registers):
            return True
        if old.write != new.write or not np.array_equal(before.step.addresses, step.addresses):
            return False
        lean = Lean(batch, step)
        now = Ranges.of(batch, step, lean, self._memory(number))
        assert before.live is not None
        constant = [(r.values.low == r.values.high) for r in (before, now)]
        if (~before.live | constant[0] & constant[1] & (before.values.low == now.values.low)).all():
            return True
        kinds = ("paired", "maximum", "vector", "per_tile", "table", "table_base", "noise", "argmax")
        if any(getattr(old, name) != getattr(new, name) for name in kinds) or not _same_reads(
            before.lean, lean
        ):
            return False
        places = np.flatnonzero(before.live.any(axis=0)).tolist()
        return all(_same(before, new, channel, lean.parameters[channel][None]) for channel in places)

    def _memory(self, number: int) -> Interval:
        """Before that run."""
        low, high = self.ranges.memory.low.copy(), self.ranges.memory.high.copy()
        for here in self.ranges.runs[:number]:
            if here.step.run.write:
                low[here.step.addresses], high[here.step.addresses] = here.values.low, here.values.high
        return Interval(low, high)


def _unchanged(here: Range, tap: Ints, channel: Ints, lane: Ints, change: Ints) -> Flags:
    """Which changes of one weight leave all words of a run as they were."""
    lean, run = here.lean, here.lean.run
    assert here.live is not None
    if lean.matrix:
        low, high = here.read.low[:, tap], here.read.high[:, tap]  # (pixels, changes)
    else:
        at = np.minimum(channel // lean.lanes, here.read.low.shape[1] - 1)
        of = np.minimum(lane, here.read.low.shape[3] - 1)
        low, high = here.read.low[:, at, tap, of], here.read.high[:, at, tap, of]
    moved = Interval(low, high).times(change, change)
    first, last = here.sums.low[:, channel], here.sums.high[:, channel]
    hull = Interval(first + np.minimum(moved.low, 0), last + np.maximum(moved.high, 0))
    parameters = lean.parameters[channel]
    ends = [requantized(run, end, parameters)[0] for end in (hull.low, hull.high)]
    same = ~here.live[:, channel] | (low == 0) & (high == 0)
    same |= (ends[0] == ends[1]) & rises(run, hull, parameters)
    for pixel, number in np.argwhere(~same & (moved.low == moved.high) & (last - first < 1 << 10)).tolist():
        same[pixel, number] = _moves_nothing(here, pixel, int(channel[number]), int(moved.low[pixel, number]))
    return np.asarray(same.all(axis=0))


def _moves_nothing(here: Range, pixel: int, channel: int, moved: int) -> bool:
    """Is the word the same for every sum that can arrive, and for that much more?"""
    low, high = int(here.sums.low[pixel, channel]), int(here.sums.high[pixel, channel])
    if high - low > FEW:
        return False
    sums, parameters = np.arange(low, high + 1)[:, None], here.lean.parameters[channel][None]
    one, two = (requantized(here.lean.run, part, parameters)[0] for part in (sums, sums + moved))
    return bool(np.array_equal(one, two))


def _same(here: Range, run: Run, channel: int, parameters: Ints) -> bool:
    """Do other settings make the same words of every sum that can arrive in one channel?"""
    assert here.live is not None
    pixels = np.flatnonzero(here.live[:, channel])
    alike = all(getattr(run, name) == getattr(here.lean.run, name) for name in SETTINGS)
    if not len(pixels) or alike and np.array_equal(here.lean.parameters[channel][None], parameters):
        return True
    low, high = (
        int(end) for end in (here.sums.low[pixels, channel].min(), here.sums.high[pixels, channel].max())
    )
    both = ((here.lean.run, here.lean.parameters[channel][None]), (run, parameters))
    if high - low <= FEW:
        sums = np.arange(low, high + 1)[:, None]
        one, two = (requantized(settings, sums, words)[0] for settings, words in both)
        return bool(np.array_equal(one, two))
    ends = Interval(np.array([[low]]), np.array([[high]]))
    met = [requantized(settings, end, words)[0] for settings, words in both for end in (ends.low, ends.high)]
    rising = all(rises(settings, ends, words).all() for settings, words in both)
    return rising and len({int(word[0, 0]) for word in met}) == 1


def _same_reads(one: Lean, two: Lean) -> bool:
    """The same words times the same weights."""
    if one.matrix != two.matrix or one.addresses.shape != two.addresses.shape:
        return False
    used: list[Flags] = [
        np.ones(lean.addresses.shape[1:], bool) if lean.padding is None else ~lean.padding
        for lean in (one, two)
    ]
    if not np.array_equal(used[0], used[1]) or not np.array_equal(one.parameters, two.parameters):
        return False
    same = np.array_equal(one.addresses[:, used[0]], two.addresses[:, used[0]])
    return bool(same and (one.run.paired or np.array_equal(one.weights, two.weights)))
