# SPDX-License-Identifier: MIT
"""When the rows of weights from outside arrive and are read: the clock of weight_window.v.

A row that is taken in cycle t is read in cycle t + 1 at the earliest; a place whose row is read for the last time in
cycle t takes another row in cycle t + 1 at the earliest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.hardware.isa.instructions import AssemblyError, Run
from fixedpoint_nn.numerics.arrays import Ints

_NEVER = -(1 << 60)


@dataclass(frozen=True)
class WeightMemory:
    """A memory outside of the engine that streams rows of weights, one sample at a time.

    The first row is offered `latency` cycles after the start, every other one `clocks` cycles after the row before it
    was taken.
    """

    clocks: int = 1
    latency: int = 1

    def __post_init__(self) -> None:
        for name in ("clocks", "latency"):
            if getattr(self, name) < 1:
                raise AssemblyError(f"{name} = {getattr(self, name)} is no memory of weights; use at least 1")


Outside = WeightMemory | Ints  # or the cycle in which each row was taken


def rows_of(run: Run) -> int:
    """The rows of weights that a run reads."""
    return run.taps * (1 if run.per_tile else run.counts[3])


def passes_of(run: Run) -> int:
    """How many times a run reads its rows."""
    return run.counts[4] * run.counts[5] * (run.counts[3] if run.per_tile else 1)


class RowClock:
    """The cycles of one sample's rows: arrived, read for the first time, given back."""

    def __init__(self, window: int, outside: Outside) -> None:
        self.window, self.outside = window, outside
        self.arrived = 0  # rows so far
        self.stalls = 0
        self._last_arrival = 0
        self._returned = np.full(window, _NEVER, np.int64)  # of each place of the ring, its last row
        self._returns = 0  # rows so far

    def read(self, run: Run, first: int, tile_due: int, drain: int, turn: int = 0) -> Ints:
        """The cycle in which each step of a run's first pass reads, that may begin in cycle `first`.

        The last step of the first tile may not read before `tile_due`, and those of later ones `drain` cycles after the
        last step of the tile before. A step is over `turn` cycles after it reads.
        """
        taps, clocks = run.taps, 1 + turn
        rows, once = rows_of(run), passes_of(run) == 1
        if not once and rows > self.window:
            raise AssemblyError(
                f"a run reads {rows} rows of weights again and again, and the window has {self.window}; split the run"
            )
        cycles = np.empty(rows, np.int64)
        done, before = 0, first - clocks
        while done < rows:
            left = taps - done % taps
            count = min(left, self.window)
            steps = clocks * np.arange(count)
            ready = np.maximum(self._arrive(count) + 1 - steps, before + clocks)
            reads = np.maximum.accumulate(ready) + steps
            could = np.concatenate([[before], reads[:-1]]) + clocks
            if count == left:
                reads[-1] = max(reads[-1], tile_due)
                could[-1] = max(could[-1], tile_due)
                tile_due = int(reads[-1]) + turn + drain
            self.stalls += int((reads - could).sum())
            if once:
                self.give_back(reads + turn)
            before = int(reads[-1])
            cycles[done : done + count] = reads
            done += count
        return cycles

    def give_back(self, cycles: Ints) -> None:
        """The next rows, in their order, are read for the last time in these cycles."""
        self._returned[(self._returns + np.arange(len(cycles))) % self.window] = cycles
        self._returns += len(cycles)

    def _arrive(self, count: int) -> Ints:
        """The cycles in which the next rows are taken, at most as many as the window has."""
        begin, self.arrived = self.arrived, self.arrived + count
        if not isinstance(self.outside, WeightMemory):
            if self.arrived > len(self.outside):
                raise AssemblyError(
                    f"a run reads row {self.arrived - 1} of the stream, and {len(self.outside)} rows arrived"
                )
            return np.asarray(self.outside[begin : self.arrived])
        clocks, steps = self.outside.clocks, np.arange(count)
        bound = self._returned[(begin + steps) % self.window] + 1
        bound[0] = max(bound[0], self._last_arrival + clocks if begin else self.outside.latency)
        arrivals = np.maximum.accumulate(bound - clocks * steps) + clocks * steps
        self._last_arrival = int(arrivals[-1])
        return arrivals
