# SPDX-License-Identifier: MIT
"""Expected cycles of vectors whose streamed weights arrived after random pauses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fixedpoint_nn.hardware.isa.instructions import decode
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.hardware.isa.weight_window import RowClock
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import Pack


def cycles_by_arrival(pack: Pack, arrivals: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """(cycles, stalls) of each vector, from the cycles in which its rows of weights were accepted."""
    config = pack.config
    program = [instruction for _, instruction in decode(pack.images.program)]
    cycles, stalls = [], []
    for number, taken in enumerate(arrivals):
        rows = RowClock(config.weight_window, np.array(taken, np.int64))
        choice = None if pack.halves is None else pack.halves.choice(number)
        plan = schedule(program, config.lanes, config.drain, config.latency, config.pack, rows, choice)
        if plan is None:
            raise PackError(f"{pack.directory} jumps on data and streams its weights; emit the pack again")
        cycles.append(plan.cycles)
        stalls.append(plan.stalls)
    return cycles, stalls
