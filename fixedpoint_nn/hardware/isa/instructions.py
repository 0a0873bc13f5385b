# SPDX-License-Identifier: MIT
"""The engine's instruction set: one table says where every field stands; it encodes and decodes.

docs/engine.md says what the fields mean; its tables are `markdown()` of this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

WORD_BITS = 32
OPCODE = slice(28, 31)
LOOPS = ("channel", "kx", "ky", "tile", "x", "y")  # innermost first
ROUNDINGS = (
    "FLOOR",
    "TOWARD_ZERO",
    "HALF_UP",
    "HALF_DOWN",
    "HALF_AWAY",
    "HALF_TOWARD_ZERO",
    "HALF_EVEN",
)  # fixedpoint_nn.Rounding names, in the order of their codes
OVERFLOWS = ("WRAP", "SATURATE", "SATURATE_SYMMETRIC", "ZERO")  # fixedpoint_nn.Overflow names


class AssemblyError(ValueError):
    """An instruction that the engine cannot hold or must not run."""


@dataclass(frozen=True)
class Address:
    """`base` plus the register's value when the instruction is read; register 0 is always zero."""

    base: int = 0
    register: int = 0


@dataclass(frozen=True)
class Field:
    """Bits `low` to `low + bits - 1` of an instruction's word `word` hold `name` (counts: minus one)."""

    name: str
    word: int
    low: int
    bits: int
    signed: bool = False
    minus_one: bool = False
    meaning: str = ""

    def encode(self, value: int) -> int:
        stored = int(value) - self.minus_one
        low, high = (
            (-(1 << self.bits - 1), (1 << self.bits - 1) - 1) if self.signed else (0, (1 << self.bits) - 1)
        )
        if not low <= stored <= high:
            raise AssemblyError(
                f"{self.name} = {int(value)} does not fit its field of {self.bits} bits; "
                f"use {low + self.minus_one} to {high + self.minus_one}"
            )
        return (stored & ((1 << self.bits) - 1)) << self.low

    def decode(self, words: Sequence[int]) -> int:
        stored = words[self.word] >> self.low & ((1 << self.bits) - 1)
        if self.signed and stored >> (self.bits - 1):
            stored -= 1 << self.bits
        return stored + self.minus_one


def _address(name: str, word: int, meaning: str) -> tuple[Field, Field]:
    return (
        Field(f"{name}.base", word, 0, 24, meaning=meaning),
        Field(f"{name}.register", word, 24, 3, meaning="register added to it"),
    )


@dataclass(frozen=True)
class Instruction:
    """Base of all instructions: `layout` places the fields, `opcode` is in bits 30..28 of the first word."""

    opcode: ClassVar[int]
    words: ClassVar[int] = 1
    layout: ClassVar[tuple[Field, ...]] = ()

    def encode(self) -> list[int]:
        """The instruction's 32-bit words."""
        words = [self.opcode << OPCODE.start] + [0] * (self.words - 1)
        for field in self.layout:
            words[field.word] |= field.encode(self._stored(field.name))
        return words

    def _stored(self, name: str) -> int:
        value: Any = self
        for part in name.split("."):
            value = getattr(value, part)
        return int(value)

    @classmethod
    def decode(cls, words: Sequence[int]) -> Instruction:
        return cls(**cls._arguments({field.name: field.decode(words) for field in cls.layout}))

    @classmethod
    def _arguments(cls, stored: dict[str, int]) -> dict[str, Any]:
        """Stored numbers as the dataclass's arguments: addresses put together, one-bit fields as bools."""
        arguments: dict[str, Any] = {}
        for field in cls.layout:
            name, _, part = field.name.partition(".")
            if part == "base":
                arguments[name] = Address(stored[f"{name}.base"], stored[f"{name}.register"])
            elif not part:
                arguments[name] = bool(stored[name]) if field.bits == 1 else stored[name]
        return arguments

    def __str__(self) -> str:
        """The name and every field that differs from its default."""
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.default is MISSING or value != item.default:
                shown.append(f"{item.name}={_text(value)}")
        return " ".join([type(self).__name__.lower(), *shown])


def _text(value: Any) -> str:
    if isinstance(value, Address):
        return f"{value.base}+r{value.register}" if value.register else str(value.base)
    if isinstance(value, tuple):
        return "(" + ",".join(map(str, value)) + ")"
    return str(int(value)) if isinstance(value, bool) else str(value)


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
        *_address("address", 1, "activation word"),
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
        *_address("address", 1, "activation word"),
    )


@dataclass(frozen=True)
class Run(Instruction):
    """One layer's arithmetic: a loop nest of multiply-accumulate steps and the requantiser's settings.

    `counts` and `strides` belong to `LOOPS`; strides are distances in activation words, from which the
    jumps that the engine adds when a loop wraps follow.
    """

    activation: Address = Address()
    weight: Address = Address()
    parameter: Address = Address()
    output: Address = Address()
    counts: tuple[int, ...] = (1, 1, 1, 1, 1, 1)
    strides: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    last_channels: int = 1
    output_gap: int = 0
    barrier: bool = True
    vector: bool = False
    paired: bool = False
    maximum: bool = False
    bounded: bool = False
    per_tile: bool = False
    modelled: bool = False
    relu_before: bool = False
    relu_after: bool = False
    leak: int = 0
    table: bool = False
    table_base: int = 0
    noise: bool = False
    argmax: bool = False
    write: bool = True
    rounding: int = ROUNDINGS.index("HALF_EVEN")
    overflow: int = OVERFLOWS.index("SATURATE")
    out_bits: int = 16
    out_signed: bool = True
    x_origin: int = 0
    y_origin: int = 0
    x_step: int = 1
    y_step: int = 1
    x_limit: int = 0
    y_limit: int = 0

    opcode: ClassVar[int] = 1
    words: ClassVar[int] = 20
    layout: ClassVar[tuple[Field, ...]] = (
        Field("barrier", 0, 0, 1, meaning="wait until every earlier result is written"),
        Field(
            "vector",
            0,
            1,
            1,
            meaning="lane j reads word j of the row, instead of all lanes the one addressed word",
        ),
        Field(
            "paired",
            0,
            2,
            1,
            meaning="steps come in pairs: the first reads the activation, the second what multiplies it",
        ),
        Field(
            "maximum",
            0,
            3,
            1,
            meaning="keep the product of the largest activation instead of the sum of products",
        ),
        Field("bounded", 0, 4, 1, meaning="steps outside 0 <= x < x_limit, 0 <= y < y_limit read padding"),
        Field(
            "per_tile",
            0,
            5,
            1,
            meaning="weights and parameters start again with every tile, not with every pixel",
        ),
        Field(
            "modelled",
            0,
            6,
            1,
            meaning="use the modelled accumulator (engine parameters) instead of the exact one",
        ),
        Field("relu_before", 0, 7, 1, meaning="a negative biased sum becomes 0"),
        Field("relu_after", 0, 8, 1, meaning="a negative requantised word becomes 0"),
        Field(
            "table",
            0,
            9,
            1,
            meaning="the word written is tables[table_base + the requantised word's low out_bits bits]",
        ),
        Field(
            "noise",
            0,
            10,
            1,
            meaning="the table's index is the noise generator's low out_bits bits; needs table",
        ),
        Field("argmax", 0, 11, 1, meaning="start a new search for the largest word written and its index"),
        Field("write", 0, 12, 1, meaning="write the words to the activation memory"),
        Field(
            "rounding", 0, 13, 3, meaning=", ".join(f"{code} {name}" for code, name in enumerate(ROUNDINGS))
        ),
        Field(
            "overflow", 0, 16, 2, meaning=", ".join(f"{code} {name}" for code, name in enumerate(OVERFLOWS))
        ),
        Field("out_bits", 0, 18, 6, meaning="width of the result's format, and of the table's index"),
        Field("out_signed", 0, 24, 1, meaning="the result's format is signed"),
        *_address("activation", 1, "first activation word"),
        *_address("weight", 2, "first row of weights"),
        *_address("parameter", 3, "first word of {shift, bias}"),
        *_address("output", 4, "where the first result goes"),
        Field("table_base", 5, 0, 24, meaning="first word of the table, a multiple of 2**out_bits"),
        Field("leak", 5, 24, 6, meaning="a negative biased sum is shifted this many bits more"),
        Field("channel.count", 6, 0, 16, minus_one=True, meaning="steps of the innermost loop"),
        Field("kx.count", 6, 16, 8, minus_one=True, meaning="window columns"),
        Field("ky.count", 6, 24, 8, minus_one=True, meaning="window rows"),
        Field("tile.count", 7, 0, 16, minus_one=True, meaning="tiles of LANES channels"),
        Field("last_channels", 7, 16, 6, minus_one=True, meaning="channels of the last tile, 1 to LANES"),
        Field("x.count", 8, 0, 12, minus_one=True, meaning="pixels of a row"),
        Field("y.count", 8, 12, 12, minus_one=True, meaning="rows"),
        Field(
            "channel.jump", 9, 0, 24, signed=True, meaning="added to the activation address after each step"
        ),
        Field("kx.jump", 10, 0, 24, signed=True, meaning="instead, when the channels wrap"),
        Field("ky.jump", 11, 0, 24, signed=True, meaning="instead, when the columns wrap too"),
        Field("tile.jump", 12, 0, 24, signed=True, meaning="instead, when the window wraps"),
        Field("x.jump", 13, 0, 24, signed=True, meaning="instead, when the tiles wrap too"),
        Field("y.jump", 14, 0, 24, signed=True, meaning="instead, when the row wraps too"),
        Field("output_gap", 15, 0, 24, signed=True, meaning="words skipped in the output after each pixel"),
        Field("x_origin", 16, 0, 13, signed=True, meaning="column of the first pixel's first tap"),
        Field("y_origin", 16, 13, 13, signed=True, meaning="row of the first pixel's first tap"),
        Field("x_step", 17, 0, 8, meaning="columns from pixel to pixel"),
        Field("y_step", 17, 8, 8, meaning="rows from pixel to pixel"),
        Field("x_limit", 18, 0, 13, meaning="columns of the image"),
        Field("y_limit", 19, 0, 13, meaning="rows of the image"),
    )

    def __post_init__(self) -> None:
        if len(self.counts) != len(LOOPS) or len(self.strides) != len(LOOPS):
            raise AssemblyError(
                f"counts {self.counts} and strides {self.strides} must have one entry for each of {LOOPS}"
            )
        if self.paired and (not self.vector or self.counts[0] % 2):
            raise AssemblyError(
                "paired steps read rows two by two: set vector=True and an even channel count, "
                f"not {self.counts[0]}"
            )
        if self.maximum and (self.modelled or self.paired):
            raise AssemblyError(
                "maximum keeps one product and adds none; it goes with neither modelled nor paired"
            )
        if not self.barrier and self.argmax:
            raise AssemblyError("argmax without barrier would mix two searches; set barrier=True")
        if self.noise and not self.table:
            raise AssemblyError("noise draws from a table; set table=True and table_base")

    @property
    def jumps(self) -> tuple[int, ...]:
        """What is added when loop i steps and all inside it wrap: its stride minus what they walked."""
        walked, jumps = 0, []
        for count, stride in zip(self.counts, self.strides, strict=True):
            jumps.append(stride - walked)
            walked += stride * (count - 1)
        return tuple(jumps)

    def _stored(self, name: str) -> int:
        loop, _, part = name.partition(".")
        if part == "count":
            return self.counts[LOOPS.index(loop)]
        if part == "jump":
            return self.jumps[LOOPS.index(loop)]
        return super()._stored(name)

    @classmethod
    def _arguments(cls, stored: dict[str, int]) -> dict[str, Any]:
        arguments = super()._arguments(stored)
        counts = tuple(stored[f"{loop}.count"] for loop in LOOPS)
        walked, strides = 0, []
        for loop, count in zip(LOOPS, counts, strict=True):
            strides.append(stored[f"{loop}.jump"] + walked)
            walked += strides[-1] * (count - 1)
        return arguments | {"counts": counts, "strides": tuple(strides)}


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
        if place + kind.words > len(words):
            raise AssemblyError(
                f"the program ends inside the {kind.__name__} at word {place}; it has {len(words)} words"
            )
        program.append((place, kind.decode(words[place : place + kind.words])))
        place += kind.words
    return program


def listing(words: Sequence[int]) -> str:
    """A program image as text, one instruction per line."""
    return "".join(f"{place:5d}  {instruction}\n" for place, instruction in decode(words))


def markdown() -> str:
    """The instruction tables of docs/engine.md."""
    lines = []
    for opcode, kind in INSTRUCTIONS.items():
        summary = (kind.__doc__ or "").splitlines()[0]
        lines += [
            f"### {kind.__name__} (opcode {opcode}, {kind.words} word{'s' * (kind.words > 1)})",
            "",
            summary,
            "",
        ]
        if kind.layout:
            lines += ["| word | bits | field | meaning |", "|---|---|---|---|"]
            lines += [
                f"| {f.word} | {f.low + f.bits - 1}..{f.low} | `{f.name}`{' - 1' * f.minus_one}"
                f"{' (signed)' * f.signed} | {f.meaning} |"
                for f in kind.layout
            ]
            lines.append("")
    return "\n".join(lines)
