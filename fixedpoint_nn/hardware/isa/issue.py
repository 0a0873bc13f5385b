# SPDX-License-Identifier: MIT
"""The issue cycles of a run's steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.numerics.arrays import Ints

Number = TypeVar("Number", int, NDArray[np.int64])


def drain_clocks(channels: int, drain: int) -> int:
    """The clocks to drain a tile's channels from the lanes, `drain` per clock."""
    return -(-channels // drain)


def turns(run: Run, pack: int) -> int:
    """1 if lanes that share a multiplier have different operands in this run, so that they take turns; else 0."""
    return int(pack > 1 and run.vector)


def tile_clocks(run: Run, turn: int) -> int:
    """The clocks of a tile's steps: one per step, and one more per multiplying step if lanes take turns."""
    return run.taps + turn * run.fired


@dataclass(frozen=True)
class Issue:
    """The issue cycles of the steps of one run."""

    first_step: int
    first_tile: int  # last step of the first tile
    last_step: int
    lanes: int
    run: Run
    drain: int = 1
    turn: int = 0  # clocks by which lanes that take turns read ahead of their step
    first_pass: Ints | None = None  # of a streamed run: the cycle in which each step reads its new row

    @property
    def full(self) -> int:
        """Cycles from the last step of a full tile to that of the next one, without stalls for weights."""
        return self._tile(self.run.tile_channels(self.lanes))

    def _tile(self, channels: int) -> int:
        return max(tile_clocks(self.run, self.turn), self.turn + drain_clocks(channels, self.drain))

    def tile(self, pixel: Number, tile: Number) -> Number:
        """The cycle of the last step of tile `tile` of pixel `pixel` (integers or arrays)."""
        tiles, taps, full = self.run.counts[3], self.run.taps, self.full
        each = (tiles - 1) * full + self._tile(self.run.last_channels)
        regular = self.first_tile + pixel * each + tile * full
        if self.first_pass is None or len(self.first_pass) == taps:
            return regular
        ends = self.first_pass[taps - 1 :: taps] + self.turn
        later = regular + int(ends[-1]) - self.first_tile - (tiles - 1) * full
        if isinstance(pixel, int) and isinstance(tile, int):
            return later if pixel else int(ends[tile])
        return np.where(np.equal(pixel, 0), ends[tile], later)


def step_cycles(issue: Issue, pixel: Ints, tile: Ints, steps: int) -> Ints:
    """The cycle in which each step reads its activations, (pixels, tiles, steps).

    Steps are consecutive, except that a tile's last step may wait; lanes that take turns read in two cycles. `tile`
    holds tile numbers from 0 on.
    """
    number = np.arange(steps)
    before = number // 2 if issue.run.paired else number  # multiplying steps so far
    cycles = first_steps(issue, pixel, tile)[..., None] + number + issue.turn * before
    cycles[..., -1] = issue.tile(pixel[:, None], tile) - issue.turn
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
