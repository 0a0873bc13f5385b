# SPDX-License-Identifier: MIT
"""The engine's instruction set: every instruction, and programs of them.

docs/engine.md says what the fields mean; its tables are `reference_tables.markdown()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from fixedpoint_nn.hardware.isa.fields import Address, AssemblyError, Field, address_fields
from fixedpoint_nn.hardware.isa.instruction import OPCODE, WORD_BITS, Instruction
from fixedpoint_nn.hardware.isa.modes import OVERFLOWS, ROUNDINGS
from fixedpoint_nn.hardware.isa.run import LOOPS, Run

__all__ = [
    "INSTRUCTIONS", "LOOPS", "OPCODE", "OVERFLOWS", "ROUNDINGS", "WORD_BITS", "Add", "Address", "AssemblyError",
    "Field", "Halt", "Instruction", "JumpEqual", "Load", "Loop", "Run", "Set", "Store", "decode", "encode", "listing",
]  # fmt: skip


@dataclass(frozen=True)
class Halt(Instruction):
    """Waits until every result is written, then raises `done`."""

    opcode: ClassVar[int] = 0


@dataclass(frozen=True)
class Set(Instruction):
    """register = value."""

    register: int
    value: int
    opcode: ClassVar[int] = 2
    layout: ClassVar[tuple[Field, ...]] = (
        Field("register", 0, 24, 3, meaning="1 to 7"),
        Field("value", 0, 0, 24, meaning="the new value"),
    )


@dataclass(frozen=True)
class Add(Instruction):
    """register = register + value."""

    register: int
    value: int
    opcode: ClassVar[int] = 3
    layout: ClassVar[tuple[Field, ...]] = (
        Field("register", 0, 24, 3, meaning="1 to 7"),
        Field("value", 0, 0, 24, signed=True, meaning="what is added"),
    )


@dataclass(frozen=True)
class Loop(Instruction):
    """register = register - 1; if it is not zero, jump to target."""

    register: int
    target: int
    opcode: ClassVar[int] = 4
    layout: ClassVar[tuple[Field, ...]] = (
        Field("register", 0, 24, 3, meaning="1 to 7"),
        Field("target", 0, 0, 24, meaning="program address"),
    )


@dataclass(frozen=True)
class JumpEqual(Instruction):
    """If register == value, jump to target; register 0 and value 0: always."""

    register: int
    value: int
    target: int
    opcode: ClassVar[int] = 5
    words: ClassVar[int] = 2
    layout: ClassVar[tuple[Field, ...]] = (
        Field("register", 0, 24, 3, meaning="0 to 7"),
        Field("value", 0, 0, 24, meaning="compared with the register"),
        Field("target", 1, 0, 24, meaning="program address"),
    )


@dataclass(frozen=True)
class Load(Instruction):
    """Waits until every result is written; register = activation[address] << shift."""

    register: int
    address: Address
    shift: int = 0
    opcode: ClassVar[int] = 6
    words: ClassVar[int] = 2
    layout: ClassVar[tuple[Field, ...]] = (
        Field("register", 0, 24, 3, meaning="1 to 7"),
        Field(
            "shift", 0, 0, 5, meaning="left shift of the word: the row length of a table is a power of two"
        ),
        *address_fields("address", 1, "activation word"),
    )


@dataclass(frozen=True)
class Store(Instruction):
    """Waits until every result is written; activation[address] = the last argmax, or its value."""

    address: Address
    best_value: bool = False
    opcode: ClassVar[int] = 7
    words: ClassVar[int] = 2
    layout: ClassVar[tuple[Field, ...]] = (
        Field(
            "best_value",
            0,
            0,
            1,
            meaning="0: index of the largest word of the last run with `argmax`; 1: that word",
        ),
        *address_fields("address", 1, "activation word"),
    )


INSTRUCTIONS: dict[int, type[Instruction]] = {
    kind.opcode: kind for kind in (Halt, Run, Set, Add, Loop, JumpEqual, Load, Store)
}


def encode(program: Iterable[Instruction]) -> list[int]:
    """A program's 32-bit words."""
    return [word for instruction in program for word in instruction.encode()]


def decode(words: Sequence[int]) -> list[tuple[int, Instruction]]:
    """(program address, instruction) for every instruction of a program image."""
    program, place = [], 0
    while place < len(words):
        kind = INSTRUCTIONS[words[place] >> OPCODE.start & 7]
        size = kind.length(words[place])
        if place + size > len(words):
            raise AssemblyError(
                f"the program ends inside the {kind.__name__} at word {place}; it has {len(words)} words"
            )
        program.append((place, kind.decode(words[place : place + size])))
        place += size
    return program


def listing(words: Sequence[int]) -> str:
    """A program image as text, one instruction per line."""
    return "".join(f"{place:5d}  {instruction}\n" for place, instruction in decode(words))
