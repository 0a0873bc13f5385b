# SPDX-License-Identifier: MIT
"""The activity of a program, a measure of its energy: multiplications, weight rows, activation words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fixedpoint_nn.hardware.isa.instructions import Instruction, Run
from fixedpoint_nn.hardware.isa.schedule import Schedule, mac_steps


@dataclass(frozen=True)
class Activity:
    """Counts over all runs of one execution; the single words of Load and Store do not count."""

    multiply_accumulates: int  # steps times lanes, idle lanes included
    weight_rows: int  # rows read, of one weight per lane
    words_read: int  # of the activation memory, by the lanes
    words_written: int


def activity(program: Sequence[Instruction], lanes: int, plan: Schedule) -> Activity:
    """The activity of a program by its schedule."""
    multiplied = rows = read = written = 0
    for place, run in _runs(program):
        if place not in plan.by_run:
            continue
        fired = plan.by_run[place][1]
        times = fired // mac_steps(run)
        steps = fired * (1 + run.paired)  # a pair takes two, each of which advances the weight address
        _, _, _, _, width, height = run.counts
        multiplied += fired * lanes
        rows += steps
        read += steps * (lanes if run.vector else 1 << run.groups)
        written += times * run.write * width * height * run.pixel_channels(lanes)
    return Activity(multiplied, rows, read, written)


def _runs(program: Sequence[Instruction]) -> list[tuple[int, Run]]:
    """(program address, run) of every run."""
    found, at = [], 0
    for instruction in program:
        if isinstance(instruction, Run):
            found.append((at, instruction))
        at += instruction.words
    return found
