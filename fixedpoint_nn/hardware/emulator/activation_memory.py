# SPDX-License-Identifier: MIT
"""The activation memory, with detection of reads that a simulator would show as X."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.emulator.result import EmulationError
from fixedpoint_nn.numerics.arrays import Ints


class ActivationMemory:
    """`depth` words; for each, whether it was written and from which cycle on a step can read it."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.words: Ints = np.zeros(depth, np.int64)
        self.defined: NDArray[np.bool_] = np.zeros(depth, bool)
        self.ready: Ints = np.zeros(depth, np.int64)

    def write(self, address: int, values: Ints) -> None:
        """Write consecutive words from `address` on, as the host does."""
        self.words[address : address + len(values)] = values
        self.defined[address : address + len(values)] = True

    def read(self, address: int, count: int = 1) -> Ints:
        """A copy of `count` words from `address` on, as the host reads them."""
        return np.array(self.words[address : address + count])

    def gather(self, addresses: Ints, place: int, cycles: Ints | None = None) -> Ints:
        """The words at `addresses`, read by the instruction at program address `place`.

        `cycles`, of the shape of `addresses`, is when each is read; without it they are read after all writes.
        Raises EmulationError for a word that is read before it is written, does not exist, or was never written.
        """
        if cycles is not None:
            there = addresses < self.depth
            read = addresses[there]
            late = read[self.ready[read] > cycles[there]]
            if late.size:
                raise EmulationError(
                    f"word {place} reads activation {int(late[0])} before it is written; it needs a barrier"
                )
        low, high = int(addresses.min()), int(addresses.max())
        if low < 0 or high >= self.depth:
            raise EmulationError(f"word {place} reads activation {high}; there are {self.depth}")
        known = self.defined[addresses]
        if not known.all():
            raise EmulationError(
                f"word {place} reads activation {int(addresses[~known][0])}, which nothing has written"
            )
        return self.words[addresses]

    def scatter(self, addresses: Ints, values: Ints, cycles: Ints, place: int) -> None:
        """Write `values` to `addresses`, readable from `cycles` on (all of one shape)."""
        if addresses.max() >= self.depth:
            raise EmulationError(
                f"word {place} writes activation {int(addresses.max())}; there are {self.depth}"
            )
        self.words[addresses] = values
        self.defined[addresses] = True
        self.ready[addresses] = cycles
