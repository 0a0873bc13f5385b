# SPDX-License-Identifier: MIT
"""Flipped bits that a loop meets again and again: run from where each is met first, many at a time."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from fixedpoint_nn.hardware.emulator.datapath import requantized
from fixedpoint_nn.hardware.faults.fault import Flip, flipped_parameter, flipped_word
from fixedpoint_nn.hardware.faults.recording import WORDS, Flags, Recorded
from fixedpoint_nn.hardware.faults.replay import Changes
from fixedpoint_nn.hardware.isa.images import SHIFT_BITS
from fixedpoint_nn.numerics.arrays import Ints


class Looped(Recorded):
    """Follows flips through a program whose runs are executed more than once."""

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
        block = max(1, WORDS // len(self.batch.memory))
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
            base = step.start(run.parameter)
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
