# SPDX-License-Identifier: MIT
"""Which inputs show a flipped bit of the engine's memory images in an output.

The engine's twin runs all inputs once. A flip is then followed from the run that meets it: only that
channel is requantised again, and only the samples whose words changed run on. What meets a flip more than
once, in a loop, is run again from there, many flips at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.batch import Batch, Step
from fixedpoint_nn.hardware.columns import Changes, Columns, can_follow
from fixedpoint_nn.hardware.datapath import requantized
from fixedpoint_nn.hardware.emulate import EmulationError, Emulator, Result
from fixedpoint_nn.hardware.engine import SHIFT_BITS, EngineConfig, Images, Ints
from fixedpoint_nn.hardware.flips import Flip, flipped, flipped_parameter, flipped_word
from fixedpoint_nn.hardware.isa import AssemblyError, Run
from fixedpoint_nn.hardware.port import Port
from fixedpoint_nn.hardware.timing import Issue

Flags = NDArray[np.bool_]
_WORDS = 1 << 22  # of the memories that run on at once
_KEPT = 1 << 25  # of the memories that a recording keeps


class _Clock(Emulator):
    """Counts the cycles of a program, and computes nothing."""

    def _run(self, place: int, run: Run, issue: Issue, result: Result) -> None:
        pass

    def _gather(self, addresses: Ints, place: int) -> Ints:
        return np.zeros(addresses.shape, np.int64)


class Shown:
    """What the engine answers to some inputs, and to the same inputs with a bit flipped."""

    def __init__(
        self, config: EngineConfig, images: Images, source: Port, result: Port, inputs: Ints
    ) -> None:
        self.config, self.images, self.source, self.result, self.inputs = (
            config,
            images,
            source,
            result,
            inputs,
        )
        self.batch = self._batch(images)
        self.cycles = self.batch.run().cycles
        self.outputs = self.batch.get(result)
        self.steps: list[Step] = []
        # Else every flip runs from the start.
        self.followed = not self.batch.stores
        if self.followed:
            words = self.batch.runs * self.batch.memory.size
            self.batch = self._batch(images)
            self.batch.record, self.batch.every = True, 1 + words // _KEPT
            self.batch.run()
            self.batch.record = False
            self.steps = self.batch.steps
            self.followed = can_follow(self.batch, self.steps)
        self.readers = self._readers()

    @cached_property
    def columns(self) -> Columns:
        """The recorded runs, to be executed again."""
        return Columns(self.batch, self.steps)

    @property
    def straight(self) -> bool:
        """Is every run executed once, so that following a flip is quick?"""
        return self.followed and len({step.place for step in self.steps}) == len(self.steps)

    def _batch(self, images: Images) -> Batch:
        batch = Batch(self.config, images, len(self.inputs))
        batch.put(self.source, self.inputs)
        return batch

    def _readers(self) -> dict[tuple[str, int], list[int]]:
        """The recorded steps that read each word of the weights, parameters and tables."""
        readers: dict[tuple[str, int], list[int]] = defaultdict(list)
        for number, step in enumerate(self.steps):
            run, tiles = step.run, step.run.counts[3]
            channels = step.words.shape[2]
            rows = int(np.prod(run.counts[:3])) * (1 if run.per_tile else tiles)
            ranges = {"parameters": (run.parameter, min(channels, self.config.lanes) if run.per_tile else channels)}
            if not run.paired:
                ranges["weights"] = (run.weight, rows)
            for kind, (address, count) in ranges.items():
                base = address.base + (step.registers[address.register] if address.register else 0)
                for word in range(base, base + count):
                    readers[kind, word].append(number)
            if run.table:
                for word in range(run.table_base, run.table_base + (1 << run.out_bits)):
                    readers["tables", word].append(number)
        return readers

    # ---- the question --------------------------------------------------------------------------------------

    def shows(self, flips: Sequence[Flip]) -> Flags:
        """(flips, inputs): does the output of that input change? A program that cannot run changes all."""
        found = np.zeros((len(flips), len(self.inputs)), bool)
        words: dict[tuple[str, int], list[int]] = defaultdict(list)
        later: dict[str, list[int]] = defaultdict(list)  # by kind: what a loop may meet
        dense: dict[int, list[int]] = defaultdict(list)  # by step: weights of one row for each input
        for number, flip in enumerate(flips):
            words[flip.kind, flip.word].append(number)
        for (kind, word), numbers in list(words.items()):
            if self.followed and not self.straight and kind != "program":
                if kind != "activations" or not self._is_loaded(word):
                    later[kind] += numbers
                    del words[kind, word]
            elif self._is_dense(kind, word):
                dense[self.readers[kind, word][0]] += numbers
                del words[kind, word]
        for step, numbers in dense.items():
            found[numbers] = self._from_dense(step, [flips[number] for number in numbers])
        for kind, numbers in later.items():
            found[numbers] = self._from_loops(kind, [flips[number] for number in numbers])
        for (kind, word), numbers in words.items():
            found[numbers] = self._shows(kind, word, [flips[number].bit for number in numbers])
        return found

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

    def from_start(self, flip: Flip) -> Flags | None:
        """Run everything with the changed image; None if the engine's twin refuses to.

        Other cycles show a flip too, as `verify` compares them.
        """
        images, limit = flipped(self.images, self.config, flip), 20 * self.batch.runs + 1000
        try:
            if flip.kind == "program" and _Clock(self.config, images).run(limit=limit).cycles != self.cycles:
                return np.ones(len(self.inputs), bool)
            batch = self._batch(images)
            cycles = batch.run(limit=limit).cycles
            changed = (batch.get(self.result) != self.outputs).any(axis=1)
        except (EmulationError, AssemblyError, IndexError, ValueError, OverflowError):
            return None
        return np.asarray(changed | (cycles != self.cycles))

    # ---- following a flip ----------------------------------------------------------------------------------

    def _is_loaded(self, row: int) -> bool:
        lanes = self.config.lanes
        return not self.batch.loads.isdisjoint(range(row * lanes, (row + 1) * lanes))

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
            if sum(map(len, columns)) * len(memory) > _WORDS:
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
        offset = row - run.weight.base - (step.registers[run.weight.register] if run.weight.register else 0)
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
        base = run.parameter.base + (step.registers[run.parameter.register] if run.parameter.register else 0)
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
        block = max(1, _WORDS // len(self.batch.memory))
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

    # ---- many flips at a time ------------------------------------------------------------------------------

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
        base = run.weight.base + (step.registers[run.weight.register] if run.weight.register else 0)
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
        block = max(1, _WORDS // len(memory))
        for begin in range(0, len(words), block):
            part = slice(begin, begin + block)
            count = len(words[part])
            columns = np.repeat(memory[:, None], count, axis=1)
            columns[step.addresses[0, channels[part]], np.arange(count)] = values[part]
            found[part] = self._run_on(number + 1, columns, np.full(count, sample))
        return found

    def _from_loops(self, kind: str, flips: list[Flip]) -> Flags:
        """Run from where each flip is met first, with the change wherever it is met."""
        found = np.zeros((len(flips), len(self.inputs)), bool)
        words: dict[int, list[int]] = defaultdict(list)
        for number, flip in enumerate(flips):
            words[flip.word].append(number)
        last = len(self.steps)
        starts = np.full(found.shape, last)  # where each case begins to differ
        for word, numbers in words.items():
            readers = [0] if kind == "activations" else self.readers.get((kind, word), [])
            some = self.steps[readers[0]] if readers else None
            if some is None:
                continue  # no run reads it
            if kind == "weights" and some.run.maximum:
                for number in numbers:
                    answer = self.from_start(flips[number])
                    found[number] = True if answer is None else answer
            elif kind == "parameters":
                absent = [number for number in numbers if self._no_shift(flips[number], readers)]
                found[absent] = True
                numbers = [number for number in numbers if number not in absent]
                if numbers:
                    bits = [flips[number].bit for number in numbers]
                    starts[numbers] = self._first_change(word, bits, readers)
            elif kind == "tables":
                starts[numbers] = self._first_look(word, readers)
            else:
                starts[numbers] = readers[0]
        case, sample = np.nonzero(starts < last)
        start = starts[case, sample]
        order = np.argsort(start, kind="stable")
        block = max(1, _WORDS // len(self.batch.memory))
        for begin in range(0, len(order), block):
            part = order[begin : begin + block]
            step = int(start[part[0]])
            while self.steps[step].memory is None:
                step -= 1
            chosen = [flips[number] for number in case[part]]
            found[case[part], sample[part]] = self._changed_from(step, kind, chosen, sample[part])
        return found

    def _first_change(self, word: int, bits: list[int], readers: list[int]) -> Ints:
        """(bits, samples): the first run that writes other words with that bit of a parameter changed."""
        width = self.config.bias_width
        parameters = np.array([flipped_parameter(self.images.parameters[word], bit, width) for bit in bits])
        first = np.full((len(bits), len(self.inputs)), len(self.steps))
        together: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number in readers:
            step = self.steps[number]
            run = step.run
            base = run.parameter.base + (step.registers[run.parameter.register] if run.parameter.register else 0)
            together[step.place, word - base].append(number)
        for (_, offset), numbers in together.items():
            run = self.steps[numbers[0]].run
            channels, pixels = self.steps[numbers[0]].words.shape[2], self.steps[numbers[0]].words.shape[1]
            for channel in range(offset, channels, self.config.lanes if run.per_tile else channels):
                sums, old = (
                    np.stack([getattr(self.steps[n], name)[:, :, channel] for n in numbers]).reshape(-1, 1)
                    for name in ("sums", "words")
                )
                new = requantized(run, np.repeat(sums, len(bits), axis=1), parameters)[0]
                if run.table:
                    new, old = self.batch._looked_up(run, new), self.batch._looked_up(run, old)
                differs = (new != old).reshape(len(numbers), len(self.inputs), pixels, len(bits)).any(axis=2)
                when = np.where(differs, np.array(numbers)[:, None, None], len(self.steps)).min(axis=0).T
                first = np.minimum(first, when)
        return first

    def _first_look(self, word: int, readers: list[int]) -> Ints:
        """The first run in which each sample looks up a word of the tables."""
        first = np.full(len(self.inputs), len(self.steps))
        for number in reversed(readers):
            run, words = self.steps[number].run, self.steps[number].words
            index = run.table_base | words & ((1 << run.out_bits) - 1)
            first[(index == word).any(axis=(1, 2))] = number
        return first

    def _no_shift(self, flip: Flip, readers: list[int]) -> bool:
        shift, _ = flipped_parameter(self.images.parameters[flip.word], flip.bit, self.config.bias_width)
        return any(shift + self.steps[reader].run.leak >= 1 << SHIFT_BITS for reader in readers)

    def _changed_from(self, number: int, kind: str, flips: list[Flip], samples: Ints) -> Flags:
        """Case by case: run on from this step with that flip, and that sample's memory."""
        memory = self.steps[number].memory
        assert memory is not None
        columns = memory[:, samples]
        changes = Changes()
        if kind == "activations":
            written = set(self.source.addresses().tolist())
            width, lanes = self.config.activation_width, self.config.lanes
            for case, flip in enumerate(flips):
                address = flip.word * lanes + flip.bit // width
                if address not in written and address < len(self.batch.constants):
                    columns[address, case] = flipped_word(int(memory[address, 0]), flip.bit % width, width)
        else:
            changes = self._changes(kind, flips)
        after = self.columns.run(number, columns, samples, changes)
        return np.asarray((self.outputs[samples] != after[self.result.addresses()].T).any(axis=1))

    def _changes(self, kind: str, flips: list[Flip]) -> Changes:
        """One case for each of them."""
        lanes, values = [], []
        for flip in flips:
            lane, bit = divmod(flip.bit, self.config.weight_width)
            lanes.append(lane)
            values.append(self._value(kind, flip, lane, bit))
        words = np.array([flip.word for flip in flips])
        return Changes(kind, np.arange(len(flips)), words, np.array(lanes), np.array(values))

    def _value(self, kind: str, flip: Flip, lane: int, bit: int) -> int | tuple[int, int]:
        if kind == "parameters":
            return flipped_parameter(self.images.parameters[flip.word], flip.bit, self.config.bias_width)
        if kind == "tables":
            return flipped_word(int(self.images.tables[flip.word]), flip.bit, self.config.activation_width)
        old = int(self.images.weights[flip.word, lane])
        return flipped_word(old, bit, self.config.weight_width) - old

    def _after(self, number: int) -> Ints:
        """The memory after a step, before the next one."""
        last = number + 1 == len(self.steps)
        memory = self.batch.memory if last else self.steps[number + 1].memory
        assert memory is not None  # of a program that runs straight on
        return memory

    def _run_on(self, number: int, memory: Ints, samples: Ints) -> Flags:
        """Do the outputs change if the run goes on from this step with these memories?"""
        if not len(samples):
            return np.zeros(0, bool)
        after = self.columns.run(number, memory, samples)
        return np.asarray((self.outputs[samples] != after[self.result.addresses()].T).any(axis=1))


def _sums_products(step: Step) -> bool:
    return not (step.run.maximum or step.run.modelled)
