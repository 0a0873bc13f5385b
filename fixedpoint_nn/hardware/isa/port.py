# SPDX-License-Identifier: MIT
"""`Port`: the place in the activation memory where the host writes a sample or reads a result."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat


@dataclass(frozen=True)
class Port:
    """A value in the activation memory: blocks of `run` consecutive words, which start `stride` words apart."""

    shape: tuple[int, ...]  # of one sample
    format: QFormat
    address: int
    run: int
    stride: int

    @property
    def words(self) -> int:
        """The number of words of the value."""
        return prod(self.shape)

    def addresses(self) -> Ints:
        """The address of each word of the value, (words,), in order."""
        place = np.arange(self.words)
        result: Ints = self.address + place // self.run * self.stride + place % self.run
        return result

    def plusargs(self, name: str) -> list[str]:
        """Plusargs of the test bench: +NAME_address=A +NAME_words=N +NAME_run=R +NAME_stride=S."""
        given = {"address": self.address, "words": self.words, "run": self.run, "stride": self.stride}
        return [f"+{name}_{key}={value}" for key, value in given.items()]


@dataclass(frozen=True)
class Halves:
    """A second place of the input, and the word by which the host tells the program where the input of a run stands."""

    second: Port
    word: int  # its address: 0 for the first place, 1 for the second

    def choice(self, run: int) -> dict[int, int]:
        """What the host writes there before this run, by address: the places take turns."""
        return {self.word: run % 2}


def input_of(first: Port, halves: Halves | None, run: int) -> tuple[Port, dict[int, int]]:
    """(where the input of this run stands, the word that says so by its address)."""
    if halves is None:
        return first, {}
    return (first, halves.second)[run % 2], halves.choice(run)
