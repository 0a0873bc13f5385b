# SPDX-License-Identifier: MIT
"""The timing of streamed weights: when their rows arrive and are read, as in weight_window.v.

A row accepted in cycle t can be read from cycle t + 1 on; a slot whose row is read for the last time in cycle t can
accept another row from cycle t + 1 on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.hardware.isa.instructions import AssemblyError, Run
from fixedpoint_nn.numerics.arrays import Ints

_NEVER = -(1 << 60)


@dataclass(frozen=True)
class WeightMemory:
    """A memory outside the engine that streams the rows of weights of each sample.

    The first row is offered `latency` cycles after the start, each further one `clocks` cycles after the previous row
    was accepted.
    """

    clocks: int = 1
    latency: int = 1

    def __post_init__(self) -> None:
        for name in ("clocks", "latency"):
            if getattr(self, name) < 1:
                raise AssemblyError(
                    f"{name} = {getattr(self, name)} is not possible for a memory of weights; use at least 1"
                )


Outside = WeightMemory | Ints  # or the cycle in which each row was accepted


def rows_of(run: Run) -> int:
    """The number of rows of weights that a run reads."""
    return run.taps * (1 if run.per_tile else run.counts[3])


def passes_of(run: Run) -> int:
    """The number of times that a run reads its rows."""
    return run.counts[4] * run.counts[5] * (run.counts[3] if run.per_tile else 1)


class RowClock:
    """The cycles in which the rows of one sample arrive, are first read, and are released."""

    def __init__(self, window: int, outside: Outside) -> None:
        self.window, self.outside = window, outside
        self.arrived = 0  # rows so far
        self.stalls = 0
        self._last_arrival = 0
        self._returned = np.full(window, _NEVER, np.int64)  # the release cycle of the last row in each slot
        self._returns = 0  # rows so far

    def read(self, run: Run, first: int, tile_due: int, drain: int, turn: int = 0) -> Ints:
        """The cycle in which each step of a run's first pass reads, (rows,), if the run can begin in cycle `first`.

        The last step of the first tile reads no earlier than `tile_due`, that of a later tile no earlier than `drain`
        cycles after the last step of the tile before. A step ends `turn` cycles after it reads.
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
        """Release the next rows, in order: they are read for the last time in these cycles."""
        self._returned[(self._returns + np.arange(len(cycles))) % self.window] = cycles
        self._returns += len(cycles)

    def _arrive(self, count: int) -> Ints:
        """The cycles in which the next `count` rows are accepted; `count` is at most the size of the window."""
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
