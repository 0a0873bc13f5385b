# SPDX-License-Identifier: MIT
"""Prediction of cycles: the program's control flow without data, timed by the engine's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fixedpoint_nn.hardware.isa.config import LATENCY
from fixedpoint_nn.hardware.isa.instructions import (
    Halt,
    Increment,
    Instruction,
    JumpEqual,
    Load,
    Loop,
    Run,
    Set,
    Store,
)
from fixedpoint_nn.hardware.isa.timing import Timing
from fixedpoint_nn.hardware.isa.weight_window import RowClock


@dataclass
class Schedule:
    """Cycles and multiply-accumulate steps, in total and by the program address of each run."""

    cycles: int = 0
    mac_cycles: int = 0
    by_run: dict[int, tuple[int, int]] = field(default_factory=dict)
    stalls: int = 0  # cycles in which a step waited only for streamed weights
    stalls_by_run: dict[int, int] = field(default_factory=dict)

    @property
    def utilisation(self) -> float:
        """The share of cycles with a multiply-accumulate step."""
        return self.mac_cycles / self.cycles if self.cycles else 0.0


def schedule(
    program: Sequence[Instruction],
    lanes: int,
    drain: int = 1,
    latency: int = LATENCY,
    pack: int = 1,
    rows: RowClock | None = None,
    choice: Mapping[int, int] | None = None,
) -> Schedule | None:
    """The schedule of a program; None if it depends on data (a conditional jump).

    `latency` is `EngineConfig.latency`; `rows` is the clock of streamed weights; `choice` are words by their addresses
    that are known before the start, on which alone the program jumps (`Halves.choice`).
    """
    if choice is None and any(isinstance(instruction, JumpEqual) for instruction in program):
        return None
    places, at = {}, 0
    for number, instruction in enumerate(program):
        places[at] = number
        at += instruction.words
    addresses = {number: place for place, number in places.items()}
    result, timing, registers, number = Schedule(), Timing(lanes, drain, latency, pack, rows), [0] * 8, 0
    before = 0
    unknown: set[int] = set()  # registers that hold data
    while True:
        instruction = program[number]
        number += 1
        if isinstance(instruction, Run):
            issue = timing.run(instruction)
            macs = mac_steps(instruction)
            result.mac_cycles += macs
            place = addresses[number - 1]
            cycles, steps = result.by_run.get(place, (0, 0))
            result.by_run[place] = (cycles + issue.last_step - before, steps + macs)
            before = issue.last_step
            if rows is not None:
                stalls = rows.stalls - result.stalls
                result.stalls_by_run[place] = result.stalls_by_run.get(place, 0) + stalls
                result.stalls = rows.stalls
        elif isinstance(instruction, (Set, Increment)):
            old = registers[instruction.register] if isinstance(instruction, Increment) else 0
            registers[instruction.register] = old + instruction.value
            if isinstance(instruction, Set):
                unknown.discard(instruction.register)
            timing.words()
        elif isinstance(instruction, Loop):
            registers[instruction.register] -= 1
            again = registers[instruction.register] != 0
            timing.words(jump=again)
            number = places[instruction.target] if again else number
        elif isinstance(instruction, Load):
            timing.load(instruction.shift)
            known = (choice or {}).get(instruction.address.base)
            registers[instruction.register] = (known or 0) << instruction.shift
            (unknown.add if known is None else unknown.discard)(instruction.register)
        elif isinstance(instruction, JumpEqual):
            if instruction.register in unknown:
                return None
            jumps = registers[instruction.register] == instruction.value
            timing.words(JumpEqual.words, jump=jumps)
            number = places[instruction.target] if jumps else number
        elif isinstance(instruction, Store):
            timing.store()
        elif isinstance(instruction, Halt):
            timing.halt()
            result.cycles = timing.cycles
            return result


def mac_steps(run: Run) -> int:
    """The number of multiplying steps of a run: half of the steps of a paired run."""
    tiles, width, height = run.counts[3:]
    return run.fired * tiles * width * height
