# SPDX-License-Identifier: MIT
"""What an execution of a program gives: status registers, writes, or an error that names the program word."""

from __future__ import annotations

from dataclasses import dataclass, field

from fixedpoint_nn.numerics.arrays import Ints


class EmulationError(RuntimeError):
    """A program that the engine would run into undefined words, or never finish."""


@dataclass(frozen=True)
class Write:
    """The words that the instruction at program address `place` wrote: addresses, values and cycles, (words,)."""

    place: int
    addresses: Ints
    values: Ints
    cycles: Ints


@dataclass
class Result:
    """Status registers after a run of the program, and if asked for every write in order."""

    cycles: int = 0
    mac_cycles: int = 0
    saturations: int = 0
    accumulator_overflow: bool = False
    argmax: int = 0
    best: int = 0
    stalls: int = 0
    writes: list[Write] = field(default_factory=list)
