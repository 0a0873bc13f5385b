# SPDX-License-Identifier: MIT
"""Which inputs show a flipped bit of the engine's memory images in an output.

The engine's twin runs all inputs once. A flip is then followed from the run that meets it: only that
channel is requantised again, and only the samples whose words changed run on. What meets a flip more than
once, in a loop, is run again from there, many flips at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from fixedpoint_nn.hardware.faults.fault import Flip
from fixedpoint_nn.hardware.faults.propagate import Straight
from fixedpoint_nn.hardware.faults.propagate_loops import Looped
from fixedpoint_nn.hardware.faults.recording import Flags


class Shown(Straight, Looped):
    """What the engine answers to some inputs, and to the same inputs with a bit flipped."""

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
