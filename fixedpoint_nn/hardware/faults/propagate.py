# SPDX-License-Identifier: MIT
"""Flipped bits that one run meets once: only that channel is requantised again, and what changed runs on."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.hardware.emulator.datapath import requantized
from fixedpoint_nn.hardware.faults.batch_emulator import Step
from fixedpoint_nn.hardware.faults.fault import Flip, flipped_parameter, flipped_word
from fixedpoint_nn.hardware.faults.recording import WORDS, Flags, Recorded
from fixedpoint_nn.hardware.isa.images import SHIFT_BITS
from fixedpoint_nn.numerics.arrays import Ints


class Straight(Recorded):
    """Follows flips through a program that runs straight on."""

    def _shows(self, kind: str, word: int, bits: list[int]) -> Flags:
        if self.followed and kind == "activations" and not self._is_loaded(word):
            return self._from_constant(word, bits)
        readers = self.readers.get((kind, word), [])
        if self.followed and kind in ("weights", "parameters", "tables"):
            if not readers:
                return np.zeros((len(bits), len(self.inputs)), bool)  # no run reads it
            step = self.steps[readers[0]]
            plain = step.run.write and not step.run.argmax
            if len(readers) == 1 and plain and (kind != "weights" or _sums_products(step)):
                return {
                    "weights": self._from_weight,
                    "parameters": self._from_parameter,
                    "tables": self._from_table,
                }[kind](readers[0], word, bits)
        answers = [self.from_start(Flip(kind, word, bit)) for bit in bits]
        everywhere = np.ones(len(self.inputs), bool)
        return np.array([everywhere if answer is None else answer for answer in answers])

    def _from_constant(self, row: int, bits: list[int]) -> Flags:
        memory, width, samples = self._after(-1), self.config.activation_width, len(self.inputs)
        written = set(self.source.addresses().tolist())
        found = np.zeros((len(bits), samples), bool)
        memories, cases, columns = [], [], []
        for number, bit in enumerate(bits):
            address = row * self.config.lanes + bit // width
            if address in written or address >= len(self.batch.constants):
                continue  # the host writes over it, or it fills up the last row
            reading = np.flatnonzero(self.batch.constants[address])
            changed = memory[:, reading]
            changed[address] = flipped_word(int(memory[address, 0]), bit % width, width)
            memories.append(changed)
            cases.append(np.full(len(reading), number))
            columns.append(reading)
            if sum(map(len, columns)) * len(memory) > WORDS:
                self._continue(0, memories, cases, columns, found)
                memories, cases, columns = [], [], []
        self._continue(0, memories, cases, columns, found)
        return found

    def _continue(
        self, number: int, memories: list[Ints], cases: list[Ints], columns: list[Ints], found: Flags
    ) -> None:
        if columns:
            case, column = np.concatenate(cases), np.concatenate(columns)
            found[case, column] = self._run_on(number, np.concatenate(memories, axis=1), column)

    def _from_weight(self, number: int, row: int, bits: list[int]) -> Flags:
        step = self.steps[number]
        run, lanes, width = step.run, self.config.lanes, self.config.weight_width
        taps, tiles = int(np.prod(run.counts[:3])), run.counts[3]
        offset = row - step.start(run.weight)
        tap = offset % taps
        read = self._read(step, tap)[:, :, :, 0]  # (samples, pixels, tiles or 1, lanes or 1)
        found = np.zeros((len(bits), len(self.inputs)), bool)
        for tile in range(tiles) if run.per_tile else (offset // taps,):
            members, columns, channels = [], [], []
            for member, bit in enumerate(bits):
                lane, within = divmod(bit, width)
                channel = tile * lanes + lane
                if channel >= step.words.shape[2]:
                    continue  # a lane without a channel
                old = int(self.images.weights[row, lane])
                operand = read[:, :, min(tile, read.shape[2] - 1), min(lane, read.shape[3] - 1)]
                change = flipped_word(old, within, width) - old
                members.append(member)
                channels.append(channel)
                columns.append(step.sums[:, :, channel] + change * operand)
            if members:
                parameters = self._parameters(step)[channels]
                found[members] |= self._follow(number, channels, np.stack(columns, axis=-1), parameters)
        return found

    def _read(self, step: Step, tap: int | None = None) -> Ints:
        """The words that one tap reads, or all of them: (samples, pixels, tiles or 1, taps, lanes or 1)."""
        batch = self.batch
        pixel = np.arange(step.words.shape[1])
        batch.registers = step.registers
        addresses, padded, cycles = batch.reads(step.run, step.place, pixel, step.issue)
        memory, ready, defined = batch.memory, batch._ready, batch.defined
        assert step.memory is not None
        batch.memory, batch._ready = step.memory, np.zeros_like(ready)
        batch.defined = np.ones_like(defined)
        try:
            chosen = slice(None) if tap is None else slice(tap, tap + 1)
            read = batch.operands(
                step.run, step.place, addresses[..., chosen], padded[..., chosen], cycles[..., chosen]
            )
        finally:
            batch.memory, batch._ready, batch.defined = memory, ready, defined
        return read

    def _parameters(self, step: Step) -> Ints:
        self.batch.registers = step.registers
        return self.batch._parameters(step.run, step.place, step.run.counts[3], step.words.shape[2])

    def _from_parameter(self, number: int, word: int, bits: list[int]) -> Flags:
        step = self.steps[number]
        run, lanes = step.run, self.config.lanes
        base = step.start(run.parameter)
        found = np.zeros((len(bits), len(self.inputs)), bool)
        width = self.config.bias_width
        changed = np.array([flipped_parameter(self.images.parameters[word], bit, width) for bit in bits])
        allowed = np.flatnonzero(changed[:, 0] + run.leak < 1 << SHIFT_BITS)
        found[np.setdiff1d(np.arange(len(bits)), allowed)] = True  # no such shift
        first, channels = word - base, step.words.shape[2]
        if not len(allowed):
            return found
        for channel in range(first, channels, lanes) if run.per_tile else (first,):
            sums = np.repeat(step.sums[:, :, channel, None], len(allowed), axis=-1)
            found[allowed] |= self._follow(number, [channel] * len(allowed), sums, changed[allowed])
        return found

    def _follow(self, number: int, channels: list[int], sums: Ints, parameters: Ints) -> Flags:
        """(cases, samples): each case gives one channel of a step other sums or parameters."""
        step = self.steps[number]
        samples, pixels, cases = sums.shape
        words = requantized(step.run, sums.reshape(-1, cases), parameters)[0]
        return self._changed(number, channels, words.reshape(samples, pixels, cases))

    def _changed(self, number: int, channels: list[int], words: Ints) -> Flags:
        """(cases, samples): each case gives one channel of a step other words, before the table."""
        step = self.steps[number]
        old = step.words[:, :, channels]
        if step.run.table:
            words, old = (self.batch._looked_up(step.run, part) for part in (words, old))
        found = np.zeros((len(channels), len(self.inputs)), bool)
        sample, case = np.nonzero((words != old).any(axis=1))
        block = max(1, WORDS // len(self.batch.memory))
        for begin in range(0, len(sample), block):
            s, c = sample[begin : begin + block], case[begin : begin + block]
            memory = self._after(number)[:, s]
            rows = step.addresses[:, np.asarray(channels)[c]]  # (pixels, cases)
            memory[rows, np.arange(len(s))] = words[s, :, c].T
            found[c, s] = self._run_on(number + 1, memory, s)
        return found

    def _from_table(self, number: int, word: int, bits: list[int]) -> Flags:
        step = self.steps[number]
        run, width = step.run, self.config.activation_width
        met = (run.table_base | step.words & ((1 << run.out_bits) - 1)) == word  # (samples, pixels, channels)
        samples = np.flatnonzero(met.any(axis=(1, 2)))
        found = np.zeros((len(bits), len(self.inputs)), bool)
        pixel, channel = np.nonzero(met.any(axis=0))
        addresses = step.addresses[pixel, channel]
        for case, bit in enumerate(bits):
            memory = self._after(number)[:, samples]
            changed = flipped_word(int(self.images.tables[word]), bit, width)
            here = met[samples][:, pixel, channel].T
            memory[addresses] = np.where(here, changed, memory[addresses])
            found[case, samples] = self._run_on(number + 1, memory, samples)
        return found

    def _is_dense(self, kind: str, word: int) -> bool:
        """Is it a row of weights that one run reads, each of whose channels makes one word?"""
        readers = self.readers.get((kind, word), [])
        if kind != "weights" or not self.straight or len(readers) != 1:
            return False
        step = self.steps[readers[0]]
        run = step.run
        plain = run.write and not (run.argmax or run.vector or run.per_tile or run.strides[3])
        return plain and _sums_products(step) and step.words.shape[1] == 1

    def _from_dense(self, number: int, flips: list[Flip]) -> Flags:
        """Flips that give a channel the same word have the same answer, which is looked for once."""
        step = self.steps[number]
        run, lanes, width = step.run, self.config.lanes, self.config.weight_width
        taps, channels = int(np.prod(run.counts[:3])), step.words.shape[2]
        word, bit = (np.array([getattr(flip, name) for flip in flips]) for name in ("word", "bit"))
        base = step.start(run.weight)
        (tile, tap), (lane, bit) = divmod(word - base, taps), divmod(bit, width)
        channel = tile * lanes + lane
        old = self.images.weights[word, lane]
        change = np.where(bit == width - 1, -1, 1) * np.where(old >> bit & 1, -1, 1) << bit
        meant = np.flatnonzero(channel < channels)  # not of a lane without a channel
        tap, channel, change = tap[meant], channel[meant], change[meant]
        parameters, read = self._parameters(step)[channel], self._read(step)[:, 0, 0, :, 0]
        found = np.zeros((len(flips), len(self.inputs)), bool)
        reach, low = 1 << run.out_bits, -(1 << run.out_bits - 1) if run.out_signed else 0
        for sample in range(len(self.inputs)):
            sums = step.sums[sample, 0, channel] + change * read[sample, tap]
            words = requantized(run, sums[None], parameters)[0][0]
            differs = np.flatnonzero(words != step.words[sample, 0, channel])
            keys, place = np.unique(channel[differs] * reach + words[differs] - low, return_inverse=True)
            answers = self._answers(number, sample, keys // reach, keys % reach + low)
            found[meant[differs], sample] = answers[place]
        return found

    def _answers(self, number: int, sample: int, channels: Ints, words: Ints) -> Flags:
        """Does the output of a sample change if one channel of a step is another word, before the table?"""
        step = self.steps[number]
        if not len(words):
            return np.zeros(0, bool)
        values = self.batch._looked_up(step.run, words) if step.run.table else words
        memory, found = self._after(number)[:, sample], np.zeros(len(words), bool)
        block = max(1, WORDS // len(memory))
        for begin in range(0, len(words), block):
            part = slice(begin, begin + block)
            count = len(words[part])
            columns = np.repeat(memory[:, None], count, axis=1)
            columns[step.addresses[0, channels[part]], np.arange(count)] = values[part]
            found[part] = self._run_on(number + 1, columns, np.full(count, sample))
        return found


def _sums_products(step: Step) -> bool:
    return not (step.run.maximum or step.run.modelled)
