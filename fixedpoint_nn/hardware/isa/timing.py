# SPDX-License-Identifier: MIT
"""The engine's timing: the rules of docs/engine.md, "Timing", as arithmetic on cycle numbers.

Cycle 0 is the one in which `start` is high.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixedpoint_nn.hardware.isa.config import LATENCY
from fixedpoint_nn.hardware.isa.instructions import AssemblyError, Run
from fixedpoint_nn.hardware.isa.issue import Issue, drain_clocks, step_cycles, tile_clocks, turns
from fixedpoint_nn.hardware.isa.weight_window import RowClock, passes_of

__all__ = ["FIRST_DECODE", "HANDOVER", "LOAD_CYCLES", "Issue", "Timing", "drain_clocks"]

FIRST_DECODE = 3  # cycles from a start or a taken jump until its target is decoded
LOAD_CYCLES = 4  # cycles from the last word of a Load with shift 0 until the next word is decoded


class Timing:
    """The clock of one execution: call the method of each instruction in the order of execution."""

    def __init__(
        self,
        lanes: int,
        drain: int = 1,
        latency: int = LATENCY,
        pack: int = 1,
        rows: RowClock | None = None,
    ) -> None:
        self.lanes, self.drain, self.latency, self.pack = lanes, drain, latency, pack
        self.rows = rows  # of weights from outside
        self.decode = FIRST_DECODE  # earliest cycle in which the next word is decoded
        self.taken = 0  # the cycle in which the last Run was taken over
        self.last_step = 0  # of the last run
        self.drained = 0  # the cycle from which its results can be read
        self.cycles = 0

    def words(self, count: int = 1, *, jump: bool = False) -> None:
        """Time an instruction of `count` words that does not wait; `jump` if it jumped."""
        self.decode += count - 1 + (FIRST_DECODE if jump else 1)

    def run(self, run: Run) -> Issue:
        """Time a Run; returns the issue cycles of its steps."""
        self.decode = max(self.decode, self.taken + 1) + run.words
        self.taken = max(self.decode, self.last_step)
        tiles, x, y = run.counts[3:]
        start, turn = self.taken + 2, turns(run, self.pack)
        first_step = max(start, self.drained - run.early) if run.barrier else start
        first_tile = max(first_step + tile_clocks(run, turn) - 1, self.drained + turn)
        issue = Issue(first_step, first_tile, 0, self.lanes, run, self.drain, turn)
        if run.streamed:
            issue = self._streamed(issue)
        self.last_step = issue.tile(x * y - 1, tiles - 1)
        self.drained = self.last_step + drain_clocks(run.last_channels, self.drain) + self.latency
        return replace(issue, last_step=self.last_step)

    def _streamed(self, issue: Issue) -> Issue:
        """The issue cycles of a run with streamed weights."""
        run, turn = issue.run, issue.turn
        if self.rows is None:
            raise AssemblyError(
                "a run takes its weights from outside, and the engine has no window for them; set weight_window"
            )
        apart = drain_clocks(run.tile_channels(self.lanes), self.drain)
        reads = self.rows.read(run, issue.first_step, self.drained, apart, turn)
        issue = replace(
            issue, first_step=int(reads[0]), first_tile=int(reads[run.taps - 1]) + turn, first_pass=reads
        )
        if passes_of(run) > 1:
            tiles, pixels = run.counts[3], run.counts[4] * run.counts[5]
            last = step_cycles(issue, np.array([pixels - 1]), np.arange(tiles), run.taps)[0] + turn
            self.rows.give_back(last[-1] if run.per_tile else last.ravel())
        return issue

    def _wait(self) -> None:
        self.decode = max(self.decode, self.drained)

    def load(self, shift: int) -> None:
        """Time a Load: wait for all results, read its two words, the memory word, and `shift` doublings."""
        self._wait()
        self.decode += 1 + LOAD_CYCLES + shift

    def store(self) -> None:
        """Time a Store: wait for all results, and read its two words."""
        self._wait()
        self.words(2)

    def halt(self) -> None:
        """Time a Halt: wait for all results; `cycles` is then the cycle in which it is decoded."""
        self._wait()
        self.cycles = self.decode


HANDOVER = 2  # cycles from the last step of a run to the first step of the next one, at least
