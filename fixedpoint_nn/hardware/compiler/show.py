# SPDX-License-Identifier: MIT
"""A program as text after each pass, with the layers' names: where does a new layer go wrong?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from fixedpoint_nn.hardware.compiler.allocation import Allocation
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.ir import (
    Advance,
    Flat,
    Item,
    JumpIfEqual,
    Label,
    LoadRegister,
    Loop,
    Repeat,
    SetRegister,
    StoreArgmax,
)
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Buffer, Register, View
from fixedpoint_nn.hardware.isa.instructions import Instruction
from fixedpoint_nn.numbers.traced.program import Program

PASSES = {
    "trace": "the network as verbs over values, with shapes and formats",
    "lower": "kernels, one for each run of the engine, and loops around them",
    "flatten": "loops as labels and jumps",
    "barriers": "which kernels wait for earlier results",
    "allocate": "where buffers, weights, parameters and tables stand",
    "encode": "the engine's instructions",
}


@dataclass(frozen=True)
class Stages:
    """What each pass made of a network."""

    trace: Program
    lower: tuple[Item, ...]
    flatten: tuple[Flat, ...]
    barriers: tuple[Flat, ...]
    allocate: Allocation
    encode: tuple[Instruction, ...]
    places: tuple[int, ...]  # the program address of each item of `barriers`

    def show(self, name: str) -> str:
        """The program after a pass."""
        if name not in PASSES:
            raise LoweringError(f"There is no pass {name!r}; the passes are {', '.join(PASSES)}.")
        lines: Callable[[], Iterator[str]] = {
            "trace": lambda: iter(str(self.trace).splitlines()),
            "lower": lambda: _items(self.lower),
            "flatten": lambda: _items(self.flatten),
            "barriers": lambda: _items(self.barriers, barriers=True),
            "allocate": lambda: _allocated(self.barriers, self.allocate),
            "encode": lambda: _encoded(self.barriers, self.encode, self.places),
        }[name]
        return "\n".join([f"; after {name}: {PASSES[name]}", *lines()]) + "\n"


def _items(items: Sequence[Item], indent: str = "", barriers: bool = False) -> Iterator[str]:
    for item in items:
        if isinstance(item, Loop):
            moving = "".join(f", {_register(register)}" for register in item.moving)
            yield f"{indent}loop {item.count} times with {_register(item.counter)}{moving}"
            yield from _items(item.body, indent + "    ", barriers)
        elif isinstance(item, Label):
            yield f"{indent}{item.name}:"
        else:
            wait = "wait " if barriers and isinstance(item, Kernel) and item.barrier else ""
            yield f"{indent}{' ' * 4 if barriers and not wait else ''}{wait}{_item(item)}"


def _item(item: Flat) -> str:
    match item:
        case Kernel():
            return _kernel(item)
        case SetRegister(register, value):
            return f"set {_register(register)} = {value}"
        case Advance(register):
            return f"advance {_register(register)}"
        case Repeat(register, begin):
            return f"repeat from {begin.name} while {_register(register)} counts"
        case LoadRegister(register, word, shift):
            return f"load {_register(register)} = {_place(word)} << {shift}"
        case StoreArgmax(word):
            return f"store the largest word's index at {_place(word)}"
        case JumpIfEqual(register, value, target):
            return f"jump to {target.name}" + (
                f" if {_register(register)} == {value}" if register.number else ""
            )
    return item.name + ":"


def _kernel(kernel: Kernel) -> str:
    taps, pixels = (prod(atom.size for atom in atoms) for atoms in (kernel.taps, kernel.pixels))
    kind = "largest" if kernel.maximum else "products" if kernel.paired else "sum"
    read = " and ".join(_place(view) for view in (*kernel.operands, *kernel.factors))
    parts = [
        f"run {kernel.name or 'a copy'}: {kind} of {taps * len(kernel.operands)} x {kernel.channels} channels",
        f"{pixels} pixels" if pixels > 1 else "",
        f"reads {read}{_walk(kernel.taps)}",
        f"writes {_buffer(kernel.target.buffer)}+{kernel.target.offset}"
        if kernel.write
        else "writes nothing",
        "ReLU" if kernel.relu_before or kernel.relu_after else "",
        str(kernel.quantizer),
        f"table {kernel.table.function}" if kernel.table is not None else "",
        "searches" if kernel.argmax else "",
    ]
    return ", ".join(part for part in parts if part)


def _walk(atoms: Sequence[Atom]) -> str:
    return " by " + "/".join(f"{atom.size}*{atom.stride}" for atom in atoms) if atoms else ""


def _place(view: View) -> str:
    return f"{_buffer(view.buffer)}+{view.offset}"


def _buffer(buffer: Buffer) -> str:
    """Its own name and its root's, and the register that moves it."""
    name = buffer.name or "buffer"
    if buffer.root is not buffer:
        name = f"{buffer.root.name or 'buffer'}[{buffer.place}].{name}"
    return f"{name}@{_register(buffer.register)}" if buffer.register is not None else name


def _register(register: Register | None) -> str:
    return "r0" if register is None else f"r{register.number}"


def _allocated(items: Sequence[Flat], allocation: Allocation) -> Iterator[str]:
    at = allocation.placement
    yield f"{allocation.depth} words of activations; {len(allocation.weights)} rows of weights, "
    yield f"{len(allocation.parameters)} parameter words, {len(allocation.tables)} table words"
    for buffer, address in sorted(at.addresses.items(), key=lambda entry: (entry[1], -entry[0].words)):
        constant = ", constant" if buffer.constants is not None else ""
        yield f"{address:6d}  {buffer.name or 'buffer'}, {buffer.words} words{constant}"
    for kernel in (item for item in items if isinstance(item, Kernel)):
        parts = [f"parameters from {at.parameter_words[kernel]}"]
        if kernel in at.weight_rows:
            parts.insert(0, f"weights from row {at.weight_rows[kernel]}")
        if kernel in at.table_bases:
            parts.append(f"table from {at.table_bases[kernel]}")
        yield f"        {kernel.name or 'a copy'}: {', '.join(parts)}"


def _encoded(items: Sequence[Flat], program: Sequence[Instruction], places: Sequence[int]) -> Iterator[str]:
    names = {
        place: item.name or "a copy"
        for item, place in zip(items, places, strict=False)
        if isinstance(item, Kernel)
    }
    place = 0
    for instruction in program:
        if place in names:
            yield f"        ; {names[place]}"
        yield f"{place:6d}  {instruction}"
        place += instruction.words
