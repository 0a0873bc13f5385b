# SPDX-License-Identifier: MIT
"""Results of running a program: status registers and writes, or an error that names the program word."""

from __future__ import annotations

from dataclasses import dataclass, field

from fixedpoint_nn.numerics.arrays import Ints


class EmulationError(RuntimeError):
    """Raised for a program that reads undefined words, or does not end."""


@dataclass(frozen=True)
class Write:
    """The words written by the instruction at program address `place`: addresses, values and cycles, each (words,)."""

    place: int
    addresses: Ints
    values: Ints
    cycles: Ints


@dataclass
class Result:
    """The status registers after a program, and on request every write in order."""

    cycles: int = 0
    mac_cycles: int = 0
    saturations: int = 0
    accumulator_overflow: bool = False
    argmax: int = 0
    best: int = 0
    stalls: int = 0
    writes: list[Write] = field(default_factory=list)
