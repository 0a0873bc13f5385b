# SPDX-License-Identifier: MIT
"""The cycles in which the steps of one run are issued."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.numerics.arrays import Ints

Number = TypeVar("Number", int, NDArray[np.int64])


def drain_clocks(channels: int, drain: int) -> int:
    """The clocks in which a tile's channels leave the lanes, `drain` of them at a time."""
    return -(-channels // drain)


@dataclass(frozen=True)
class Issue:
    """The cycles in which the steps of one run are issued."""

    first_step: int
    first_tile: int  # last step of the first tile
    last_step: int
    taps: int
    lanes: int
    run: Run
    drain: int = 1
    first_pass: Ints | None = None  # of a streamed run: the cycle of each step that reads a new row

    @property
    def full(self) -> int:
        """Cycles from the last step of a whole tile to that of the next one, if no weights are waited for."""
        return max(self.taps, drain_clocks(self.run.tile_channels(self.lanes), self.drain))

    @property
    def each(self) -> int:
        """Cycles from a tile's last step to that of the same tile of the next pixel."""
        last = max(self.taps, drain_clocks(self.run.last_channels, self.drain))
        return (self.run.counts[3] - 1) * self.full + last

    def tile(self, pixel: Number, tile: Number) -> Number:
        """The cycle of the last step of tile number `tile` of pixel number `pixel` (integers or arrays)."""
        regular = self.first_tile + pixel * self.each + tile * self.full
        if self.first_pass is None or len(self.first_pass) == self.taps:
            return regular
        ends = self.first_pass[self.taps - 1 :: self.taps]
        later = regular + int(ends[-1]) - self.first_tile - (self.run.counts[3] - 1) * self.full
        if isinstance(pixel, int) and isinstance(tile, int):
            return later if pixel else int(ends[tile])
        return np.where(np.equal(pixel, 0), ends[tile], later)


def step_cycles(issue: Issue, pixel: Ints, tile: Ints, steps: int) -> Ints:
    """The cycle of each step, (pixels, tiles, steps): one after the other, but that a tile's last one may wait.

    `tile` holds the first tiles, all of them or some.
    """
    cycles = first_steps(issue, pixel, tile)[..., None] + np.arange(steps)
    cycles[..., -1] = issue.tile(pixel[:, None], tile)
    if issue.first_pass is not None:
        new = issue.first_pass.reshape(-1, steps)[: len(tile)]
        cycles[pixel == 0, : len(new)] = new
    return cycles


def first_steps(issue: Issue, pixel: Ints, tile: Ints) -> Ints:
    """The cycle of each tile's first step, (pixels, tiles): one clock after the last step of the tile before."""
    tiles = issue.run.counts[3]
    number = pixel[:, None] * tiles + tile
    before = np.maximum(number - 1, 0)
    return np.where(number == 0, issue.first_step, issue.tile(before // tiles, before % tiles) + 1)
