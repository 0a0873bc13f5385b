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
