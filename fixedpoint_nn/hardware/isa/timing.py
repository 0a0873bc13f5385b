# SPDX-License-Identifier: MIT
"""When the engine does what: the rules of docs/engine.md, "Timing", as arithmetic on cycle numbers.

Cycle 0 is the one in which `start` is high.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.isa.config import LATENCY
from fixedpoint_nn.hardware.isa.instructions import Run

Number = TypeVar("Number", int, NDArray[np.int64])

FIRST_DECODE = 3  # from a start or a taken jump until its target is decoded
LOAD_CYCLES = 4  # from the last word of a Load with shift 0 until the next word is decoded


def drain_clocks(channels: int, drain: int) -> int:
    """The clocks in which a tile's channels leave the lanes, `drain` of them at a time."""
    return -(-channels // drain)


def turns(run: Run, pack: int) -> int:
    """1 if lanes that share multipliers have operands of their own in this run, and multiply one after the other."""
    return int(pack > 1 and run.vector)


def tile_clocks(run: Run, turn: int) -> int:
    """The clocks of a tile's steps: one each, and one more for each that multiplies in turns."""
    return run.taps + turn * run.fired


@dataclass(frozen=True)
class Issue:
    """The cycles in which the steps of one run are issued."""

    first_step: int
    first_tile: int  # last step of the first tile
    last_step: int
    lanes: int
    run: Run
    drain: int = 1
    turn: int = 0  # clocks by which lanes that take turns read before their step

    def tile(self, pixel: Number, tile: Number) -> Number:
        """The cycle of the last step of tile number `tile` of pixel number `pixel` (integers or arrays)."""
        tiles = self.run.counts[3]
        steps = tile_clocks(self.run, self.turn)
        full = max(steps, self.turn + drain_clocks(self.run.tile_channels(self.lanes), self.drain))
        last = max(steps, self.turn + drain_clocks(self.run.last_channels, self.drain))
        return self.first_tile + pixel * ((tiles - 1) * full + last) + tile * full


class Timing:
    """The clock of one execution, from `start` on: call the method of each instruction as it is executed."""

    def __init__(self, lanes: int, drain: int = 1, latency: int = LATENCY, pack: int = 1) -> None:
        self.lanes, self.drain, self.latency, self.pack = lanes, drain, latency, pack
        self.decode = FIRST_DECODE  # earliest cycle in which the next word is decoded
        self.taken = 0  # when the last description was taken
        self.last_step = 0  # of the last run
        self.drained = 0  # from then on its results can be read
        self.cycles = 0

    def words(self, count: int = 1, *, jump: bool = False) -> None:
        """An instruction of `count` words that never waits; `jump`: it was taken."""
        self.decode += count - 1 + (FIRST_DECODE if jump else 1)

    def run(self, run: Run) -> Issue:
        """Read a Run and issue its steps; when that happens, in cycles."""
        self.decode = max(self.decode, self.taken + 1) + run.words
        self.taken = max(self.decode, self.last_step)
        tiles, x, y = run.counts[3:]
        start, turn = self.taken + 2, turns(run, self.pack)
        first_step = max(start, self.drained - run.early) if run.barrier else start
        first_tile = max(first_step + tile_clocks(run, turn) - 1, self.drained + turn)
        issue = Issue(first_step, first_tile, 0, self.lanes, run, self.drain, turn)
        self.last_step = issue.tile(x * y - 1, tiles - 1)
        self.drained = self.last_step + drain_clocks(run.last_channels, self.drain) + self.latency
        return replace(issue, last_step=self.last_step)

    def _wait(self) -> None:
        self.decode = max(self.decode, self.drained)

    def load(self, shift: int) -> None:
        """Wait for all results, read the two words of a Load, and wait for its word and `shift` doublings."""
        self._wait()
        self.decode += 1 + LOAD_CYCLES + shift

    def store(self) -> None:
        """Wait for all results, and read the two words of a Store."""
        self._wait()
        self.words(2)

    def halt(self) -> None:
        """Wait for all results; `cycles` is the cycle in which the Halt is decoded."""
        self._wait()
        self.cycles = self.decode


HANDOVER = 2  # cycles from the last step of a run to the first step of the next one, at least
