# SPDX-License-Identifier: MIT
"""Figures of a pack for the report: statistics of casts, tables, latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.board.boards import find_board
from fixedpoint_nn.layers.fields import TABLE
from fixedpoint_nn.network import tree
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.training.metrics import outputs

REPEATS = 9


def ledger_of(fixed: Quantized, inputs: Any) -> list[dict[str, Any]]:
    """The overflow statistics of every cast for these inputs."""
    with OverflowStats() as ledger:
        fixed(inputs)
    return [
        {
            "path": path,
            "values": entry.values,
            "saturated": entry.saturated,
            "wrapped": entry.wrapped,
            "rounded": entry.rounded,
            "headroom_bits": entry.headroom_bits,
            "first": entry.first,
        }
        for path, entry in ledger.items()
    ]


def tables_of(fixed: Quantized) -> list[dict[str, Any]]:
    """Every table, with its certificate."""
    tables = [(leaf.path, leaf.value) for leaf in tree.walk(fixed.net) if leaf.kind == TABLE]
    return [
        {
            "path": path,
            "function": table.function,
            "input": str(table.input_format),
            "output": str(table.output.format),
            "entries": len(table.ints),
            **vars(table.certificate()),
        }
        for path, table in tables
        if table is not None
    ]


@dataclass(frozen=True)
class Clock:
    """The engine's clock: a board's, or a stated one."""

    mhz: float
    of: str

    @classmethod
    def of_board(cls, name: str) -> Clock:
        """The clock of a board, by its name or the path of its file."""
        board = find_board(name)
        return cls(board.mhz, f"the clock of {board.name}")

    @classmethod
    def stated(cls, mhz: float) -> Clock:
        """A stated clock, which place and route may not reach."""
        return cls(mhz, "as stated")


def latency_of(net: Any, fixed: Quantized, x: Any, cycles: int, clock: Clock) -> dict[str, Any]:
    """The latency of the samples of one run on the engine at this clock, and on this processor."""
    times = {f"engine, {clock.mhz:g} MHz": cycles / clock.mhz / 1000}
    if net is not fixed:
        times["NumPy, float"] = _milliseconds(lambda: outputs(net, x))
    times["NumPy, bit-accurate"] = _milliseconds(lambda: fixed(np.asarray(x)))
    return {
        "cycles": cycles,
        "clock_mhz": clock.mhz,
        "clock_of": clock.of,
        "repeats": REPEATS,
        "milliseconds": times,
    }


def _milliseconds(call: Callable[[], Any]) -> float:
    call()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)
