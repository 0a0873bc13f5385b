# SPDX-License-Identifier: MIT
"""Programs as text after each pass, with the names of layers, for debugging."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from fixedpoint_nn.hardware.compiler.aligned_table import AlignedTable
from fixedpoint_nn.hardware.compiler.allocation import Allocation
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Dot, Expression, Product, Term
from fixedpoint_nn.hardware.compiler.gumbel_table import NoiseTable
from fixedpoint_nn.hardware.compiler.ir import (
    Advance,
    Compute,
    Declare,
    EngineProgram,
    Flat,
    Item,
    JumpIfEqual,
    Label,
    LoadRegister,
    LoopItem,
    Repeat,
    SetRegister,
    StoreArgmax,
    WriteBack,
)
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Target
from fixedpoint_nn.hardware.compiler.strided_view import (
    ALL_PADDING,
    ZERO_REGISTER,
    Atom,
    Buffer,
    Register,
    View,
)
from fixedpoint_nn.hardware.isa.instructions import Instruction
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table

PASSES = {
    "trace": "the network as verbs over values, with shapes and formats",
    "lower": "what each layer computes, where its result goes, and loops around it",
    "legalise": "operands where one run can read them: copies, and buffers beside each other",
    "select": "kernels, one for each run of the engine",
    "flatten": "loops as labels and jumps",
    "group": "groups of lanes for each kernel, where steps read several words",
    "stream": "which kernels take their weights from outside",
    "barriers": "which kernels wait for earlier results",
    "allocate": "where buffers, weights, parameters and tables stand",
    "encode": "the engine's instructions",
}


@dataclass(frozen=True)
class Stages:
    """The results of all passes for a network."""

    trace: Program
    lower: EngineProgram
    legalise: EngineProgram
    select: EngineProgram
    flatten: tuple[Flat, ...]
    group: tuple[Flat, ...]
    stream: tuple[Flat, ...]
    barriers: tuple[Flat, ...]
    allocate: Allocation
    encode: tuple[Instruction, ...]
    places: tuple[int, ...]  # the program address of each item of `barriers`

    def show(self, name: str) -> str:
        """The program after a pass, as text."""
        if name not in PASSES:
            raise LoweringError(f"There is no pass {name!r}; the passes are {', '.join(PASSES)}.")
        names = Names()
        lines: Callable[[], Iterator[str]] = {
            "trace": lambda: iter(str(self.trace).splitlines()),
            "lower": lambda: names.items(self.lower.items),
            "legalise": lambda: names.items(self.legalise.items),
            "select": lambda: names.items(self.select.items),
            "flatten": lambda: names.items(self.flatten),
            "group": lambda: names.items(self.group),
            "stream": lambda: names.items(self.stream),
            "barriers": lambda: names.items(self.barriers, barriers=True),
            "allocate": lambda: _allocated(names, self.barriers, self.allocate),
            "encode": lambda: _encoded(self.barriers, self.encode, self.places),
        }[name]
        return "\n".join([f"; after {name}: {PASSES[name]}", *lines()]) + "\n"


class Names:
    """Unique names for the printed buffers, labels and registers."""

    def __init__(self) -> None:
        self._names: dict[Buffer | Register | Label, str] = {ZERO_REGISTER: "zero"}
        self._taken: Counter[str] = Counter()

    def of(self, thing: Buffer | Register | Label) -> str:
        """The name, with a number from the second thing of this name on."""
        if thing not in self._names:
            wanted = "r" if isinstance(thing, Register) else thing.name or "buffer"
            self._taken[wanted] += 1
            number = self._taken[wanted]
            self._names[thing] = (
                f"{wanted}{number}" if wanted == "r" else wanted + f"#{number}" * (number > 1)
            )
        return self._names[thing]

    def buffer(self, buffer: Buffer) -> str:
        """The buffer's name, its root's if it is a part, and its register."""
        name = self.of(buffer)
        if buffer.root is not buffer:
            name = f"{self.of(buffer.root)}[{buffer.place}]"
        return f"{name}@{self.of(buffer.register)}" if buffer.register is not None else name

    def place(self, view: View) -> str:
        """The place of a view's first word."""
        return f"{self.buffer(view.buffer)}+{view.offset}"

    # ---- items ---------------------------------------------------------------------------------------------

    def items(self, items: Sequence[Item], indent: str = "", barriers: bool = False) -> Iterator[str]:
        """One line per item, with bodies of loops indented; with `barriers` waits are shown instead of declarations."""
        for item in items:
            if barriers and isinstance(item, Declare):
                continue
            if isinstance(item, LoopItem):
                moving = "".join(f", {self._moving(register)}" for register in item.moving)
                yield f"{indent}loop {item.count} times, counted by {self.of(item.counter)}{moving}"
                yield from self.items(item.body, indent + "    ", barriers)
            elif isinstance(item, Label):
                yield f"{indent}{self.of(item)}:"
            else:
                wait = "wait " if barriers and isinstance(item, Kernel) and item.barrier else ""
                yield f"{indent}{' ' * 4 if barriers and not wait else ''}{wait}{self.item(item)}"

    def item(self, item: Item) -> str:
        """One item as text."""
        match item:
            case Kernel():
                return self._kernel(item)
            case Compute():
                return self._compute(item)
            case WriteBack(name, _, new, old):
                return f"write back {name}: {self.place(old)} = {self.place(new)}"
            case Declare(value):
                return (
                    f"register {self.of(value)}"
                    if isinstance(value, Register)
                    else f"buffer {self.of(value)}, {value.words} words"
                )
            case SetRegister(register, value):
                return f"set {self.of(register)} = {value}"
            case Advance(register):
                return f"advance {self._moving(register)}"
            case Repeat(register, begin):
                return f"repeat from {self.of(begin)} while {self.of(register)} counts"
            case LoadRegister(register, word, shift):
                return f"load {self.of(register)} = {self.place(word)} << {shift}"
            case StoreArgmax(word):
                return f"store the largest word's index at {self.place(word)}"
            case JumpIfEqual(register, value, target):
                condition = "" if register is ZERO_REGISTER else f" if {self.of(register)} == {value}"
                return f"jump to {self.of(target)}{condition}"
        raise TypeError(f"{type(item).__name__} is no item of a program")

    def _moving(self, register: Register) -> str:
        return f"{self.of(register)} by {register.stride}"

    def _compute(self, item: Compute) -> str:
        e = item.expression
        name = (e.quantizer.name if e.quantizer is not None else "") or item.name or "a copy"
        parts = [
            f"compute {name}{list(e.shape[1:])} = {self._terms(e)}",
            "a multiplier for each channel" if e.multiplier is not None else "",
            *_conversions(e.relu_before, e.leak, e.quantizer, e.relu_after, e.table or item.noise),
            "search" if item.search else "",
        ]
        return ", ".join(part for part in parts if part) + f" -> {self._target(item.target, item.write)}"

    def _terms(self, e: Expression) -> str:
        return " | ".join(" + ".join(map(self._term, part)) for part in e.parts) + (
            " + bias" if e.bias is not None else ""
        )

    def _term(self, term: Term) -> str:
        if term.view.window == ALL_PADDING:
            return "nothing"
        match term:
            case Dot():
                return f"{self.place(term.view)} @ weights{list(term.weights.shape)}"
            case Product():
                both = f"{self.place(term.view)} * {self.place(term.other)}"
                return f"sum of {prod(atom.size for atom in term.over)} from {both}" if term.over else both
        if term.over:
            kind = "largest" if term.maximum else "sum"
            return f"{kind} of {prod(atom.size for atom in term.over)} from {self.place(term.view)}"
        return self.place(term.view) if (term.weights == 1).all() else f"{self.place(term.view)} * constants"

    def _target(self, target: Target, write: bool) -> str:
        return f"{self.buffer(target.buffer)}+{target.offset}" if write else "nowhere"

    def _kernel(self, kernel: Kernel) -> str:
        taps, pixels = (prod(atom.size for atom in atoms) for atoms in (kernel.taps, kernel.pixels))
        kind = "largest" if kernel.maximum else "products" if kernel.paired else "sum"
        read = " and ".join(self.place(view) for view in (*kernel.operands, *kernel.factors))
        parts = [
            f"run {kernel.name or 'a copy'}: {kind} of {taps * len(kernel.operands)} x {kernel.channels} channels",
            f"{pixels} pixels" if pixels > 1 else "",
            f"{1 << kernel.groups} groups of lanes" + ", joined" * kernel.joined if kernel.groups else "",
            "streamed weights" if kernel.streamed else "",
            f"reads {read}{_walk(kernel.taps)}",
            f"writes {self._target(kernel.target, kernel.write)}",
            _multipliers(kernel),
            *_conversions(kernel.relu_before, kernel.leak, kernel.quantizer, kernel.relu_after, kernel.table),
            "search" if kernel.argmax else "",
        ]
        return ", ".join(part for part in parts if part)


def _multipliers(kernel: Kernel) -> str:
    """The width of a kernel's multipliers, and whether two roundings follow."""
    if not kernel.multiplied:
        return ""
    bits = int(abs(kernel.parameters[:, 2]).max()).bit_length() + 1
    return f"multipliers of {bits} bits" + ", rounded twice" * kernel.twice


def _conversions(
    relu_before: bool,
    leak: int,
    quantizer: Quantizer | None,
    relu_after: bool,
    table: Table | AlignedTable | NoiseTable | None,
) -> list[str]:
    """The operations on a sum, in order."""
    return [
        "ReLU" if relu_before else "",
        f"leaky ReLU with a slope of 2**-{leak}" if leak else "",
        str(quantizer or ""),
        "ReLU" if relu_after else "",
        f"table {table.function}" if table is not None else "",
    ]


def _walk(atoms: Sequence[Atom]) -> str:
    return " by " + "/".join(f"{atom.size}*{atom.stride}" for atom in atoms) if atoms else ""


def _allocated(names: Names, items: Sequence[Flat], allocation: Allocation) -> Iterator[str]:
    at = allocation.placement
    yield f"{allocation.depth} words of activations; {len(allocation.weights)} rows of weights, "
    yield f"{len(allocation.parameters)} parameter words, {len(allocation.tables)} table words"
    for register, number in sorted(at.registers.items(), key=lambda entry: entry[1]):
        yield f"register {number}: {names.of(register)}"
    for buffer, address in sorted(at.addresses.items(), key=lambda entry: (entry[1], -entry[0].words)):
        constant = ", constant" if buffer.constants is not None else ""
        yield f"{address:6d}  {names.of(buffer)}, {buffer.words} words{constant}"
    for kernel in (item for item in items if isinstance(item, Kernel)):
        parts = [f"parameters from {at.parameter_rows[kernel]}"]
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
