# SPDX-License-Identifier: MIT
"""The pass `encode`: one instruction per item, labels resolved to program addresses, and `Halt` at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fixedpoint_nn.hardware.compiler.ir import (
    Advance,
    Declare,
    Flat,
    JumpIfEqual,
    Label,
    LoadRegister,
    Repeat,
    SetRegister,
    StoreArgmax,
)
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Placement
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
from fixedpoint_nn.hardware.isa.run import SHORT_WORDS

SIZES: dict[type, int] = {
    Declare: 0,
    Label: 0,
    SetRegister: Set.words,
    Advance: Increment.words,
    Repeat: Loop.words,
    LoadRegister: Load.words,
    StoreArgmax: Store.words,
    JumpIfEqual: JumpEqual.words,
}


def instructions(
    items: Sequence[Flat], at: Placement, begin: int = 0
) -> tuple[tuple[Instruction, ...], tuple[int, ...]]:
    """(program, program address of each item), from address `begin` on; a label has the address of the next item."""
    places, end = [], begin
    for item in items:
        places.append(end)
        end += _size(item)
    labels = {item: place for item, place in zip(items, places, strict=True) if isinstance(item, Label)}
    program = [_instruction(item, at, labels) for item in items if not isinstance(item, (Declare, Label))]
    return (*program, Halt()), (*places, end)


def _size(item: Flat) -> int:
    if isinstance(item, Kernel):
        return SHORT_WORDS if item.short else Run.words
    return SIZES[type(item)]


def _instruction(item: Flat, at: Placement, labels: Mapping[Label, int]) -> Instruction:
    match item:
        case Kernel():
            return item.run(at)
        case SetRegister(register, value):
            return Set(at.number(register), value)
        case Advance(register):
            return Increment(at.number(register), register.stride)
        case Repeat(register, begin):
            return Loop(at.number(register), labels[begin])
        case LoadRegister(register, word, shift):
            return Load(at.number(register), at.word(word), shift)
        case StoreArgmax(word):
            return Store(at.word(word))
        case JumpIfEqual(register, value, target):
            return JumpEqual(at.number(register), value, labels[target])
    raise TypeError(f"{type(item).__name__} is no item that becomes an instruction")
