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
    channel, kx, ky, tiles, _, _ = run.counts
    return channel * kx * ky * (1 if run.per_tile else tiles)


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

    def read(self, run: Run, first: int, tile_due: int, taps: int, drain: int) -> Ints:
        """The cycle of each step of a run's first pass, that may begin in cycle `first`.

        The last step of the first tile may not come before `tile_due`, and those of later ones `drain` cycles apart.
        """
        rows, once = rows_of(run), passes_of(run) == 1
        if not once and rows > self.window:
            raise AssemblyError(
                f"a run reads {rows} rows of weights again and again, and the window has {self.window}; split the run"
            )
        cycles = np.empty(rows, np.int64)
        done, before = 0, first - 1
        while done < rows:
            left = taps - done % taps
            count = min(left, self.window)
            steps = np.arange(count)
            ready = np.maximum(self._arrive(count) + 1 - steps, before + 1)
            issued = np.maximum.accumulate(ready) + steps
            could = np.concatenate([[before], issued[:-1]]) + 1
            if count == left:
                issued[-1] = max(issued[-1], tile_due)
                could[-1] = max(could[-1], tile_due)
                tile_due = int(issued[-1]) + drain
            self.stalls += int((issued - could).sum())
            if once:
                self.give_back(issued)
            before = int(issued[-1])
            cycles[done : done + count] = issued
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
