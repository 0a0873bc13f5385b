# SPDX-License-Identifier: MIT
"""What one pass of a program switches: multiplications, weight rows, activation words; what energy goes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fixedpoint_nn.hardware.isa.instructions import Instruction, Run
from fixedpoint_nn.hardware.isa.schedule import Schedule, mac_steps


@dataclass(frozen=True)
class Activity:
    """Counts of all runs of one sample; a Load or a Store, one word each, is left out."""

    multiply_accumulates: int  # steps times lanes, with a channel for the lane or without
    weight_rows: int  # read, of as many weights as there are lanes
    words_read: int  # of the activation memory, for the lanes
    words_written: int


def activity(program: Sequence[Instruction], lanes: int, plan: Schedule) -> Activity:
    """What the runs of a program do, as often as its schedule has each of them."""
    multiplied = rows = read = written = 0
    for place, run in _runs(program):
        if place not in plan.by_run:
            continue
        fired = plan.by_run[place][1]
        times = fired // mac_steps(run)
        steps = fired * (1 + run.paired)  # a pair takes two, and the weight address goes on with each
        _, _, _, _, width, height = run.counts
        multiplied += fired * lanes
        rows += steps
        read += steps * (lanes if run.vector else 1 << run.groups)
        written += times * run.write * width * height * run.pixel_channels(lanes)
    return Activity(multiplied, rows, read, written)


def _runs(program: Sequence[Instruction]) -> list[tuple[int, Run]]:
    """The runs with their program addresses."""
    found, at = [], 0
    for instruction in program:
        if isinstance(instruction, Run):
            found.append((at, instruction))
        at += instruction.words
    return found
