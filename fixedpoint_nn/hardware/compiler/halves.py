# SPDX-License-Identifier: MIT
"""A program with two places for its input, so that the host writes one while the engine reads the other.

The program is there twice, once for each place. A word that the host writes before a start says which one is meant; the
first instructions read it and jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fixedpoint_nn.hardware.compiler.encode import instructions
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.ir import EngineProgram, Flat
from fixedpoint_nn.hardware.compiler.kernel import Placement
from fixedpoint_nn.hardware.compiler.strided_view import Buffer
from fixedpoint_nn.hardware.isa.instructions import Address, Instruction, JumpEqual, Load

REGISTER = 1  # for the word; free before the first instruction of the program


@dataclass(frozen=True)
class Room:
    """What two halves need besides the input itself: as much again, and a word."""

    input: Buffer
    second: Buffer
    word: Buffer

    def placed(self, at: Placement) -> Placement:
        """The placement of the program that reads the second half."""
        return replace(at, addresses={**at.addresses, self.input: at.addresses[self.second]})


def room(program: EngineProgram) -> Room:
    """Buffers for the second half: everything that stands in the input's buffer, its constants too, is there twice."""
    input = program.input.buffer.root
    if input is program.output.buffer.root:
        raise LoweringError(
            "The output stands beside the input, and would be in another place in every second run, so that no input "
            "can be written ahead."
        )
    second = Buffer("second input", input.words, constants=input.constants, keep=True)
    return Room(input, second, Buffer("half", program.lanes, keep=True))


def both(items: Sequence[Flat], at: Placement, room: Room) -> tuple[tuple[Instruction, ...], tuple[int, ...]]:
    """The jump and both programs, and the program address of each item of the first one."""
    begin = Load.words + JumpEqual.words
    first, places = instructions(items, at, begin)
    end = begin + sum(instruction.words for instruction in first)
    second, _ = instructions(items, room.placed(at), end)
    choice = (Load(REGISTER, Address(at.addresses[room.word]), 0), JumpEqual(REGISTER, 1, end))
    return (*choice, *first, *second), places
