# SPDX-License-Identifier: MIT
"""Stalls for streamed weights: layer by layer, and with memories of several rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fixedpoint_nn.hardware.isa.instructions import Run, decode
from fixedpoint_nn.hardware.isa.schedule import Schedule, schedule
from fixedpoint_nn.hardware.isa.weight_window import RowClock, WeightMemory
from fixedpoint_nn.hardware.pack.reader import Pack

CLOCKS = (1, 2, 4, 8, 16)  # per row


@dataclass(frozen=True)
class LayerWait:
    """The streamed rows of a layer, its cycles, and its stalls in cycles."""

    layer: str
    runs: int
    rows: int
    cycles: int
    stalls: int


def layers(pack: Pack) -> Iterator[LayerWait]:
    """The layers of a pack's program, in order; consecutive runs of a layer are one entry."""
    found: list[LayerWait] = []
    for run in pack.manifest["runs"]:
        rows, cycles, stalls = (run.get(key, 0) for key in ("rows", "cycles", "stalls"))
        if found and found[-1].layer == run["layer"]:
            last = found.pop()
            found.append(
                LayerWait(
                    last.layer, last.runs + 1, last.rows + rows, last.cycles + cycles, last.stalls + stalls
                )
            )
        else:
            found.append(LayerWait(run["layer"], 1, rows, cycles, stalls))
    yield from found


def with_memory(pack: Pack, memory: WeightMemory | None) -> Schedule:
    """The schedule of a pack with this memory of streamed weights, or without stalls if None."""
    config = pack.config
    program = [instruction for _, instruction in decode(pack.images.program)]
    rows = None if memory is None else RowClock(config.weight_window, memory)
    if rows is None:
        program = [replace(one, streamed=False) if isinstance(one, Run) else one for one in program]
    choice = None if pack.halves is None else pack.halves.choice(0)
    plan = schedule(program, config.lanes, config.drain, config.latency, config.pack, rows, choice)
    assert plan is not None  # a program that jumps on data streams no weights
    return plan


def by_rate(pack: Pack, clocks: Sequence[int] = CLOCKS) -> Iterator[tuple[WeightMemory, Schedule]]:
    """(memory, schedule) for memories of several rates, with the pack's latency."""
    assert pack.memory is not None
    for one in sorted({*clocks, pack.memory.clocks}):
        memory = replace(pack.memory, clocks=one)
        yield memory, with_memory(pack, memory)
