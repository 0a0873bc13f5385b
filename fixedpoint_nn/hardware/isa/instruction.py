# SPDX-License-Identifier: MIT
"""The base class of instructions: encoding, decoding and text, driven by the table of fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

from fixedpoint_nn.hardware.isa.fields import Address, Field

WORD_BITS = 32
OPCODE = slice(28, 31)


@dataclass(frozen=True)
class Instruction:
    """An instruction; `layout` is the table of its fields, and `opcode` is in bits 30..28 of the first word."""

    opcode: ClassVar[int]
    words: ClassVar[int] = 1
    layout: ClassVar[tuple[Field, ...]] = ()

    def encode(self) -> list[int]:
        """The instruction's 32-bit words."""
        words = [self.opcode << OPCODE.start] + [0] * (self.words - 1)
        for field in self.layout:
            if field.word >= self.words:
                continue
            words[field.word] |= field.encode(self._stored(field.name))
        return words

    def _stored(self, name: str) -> int:
        value: Any = self
        for part in name.split("."):
            value = getattr(value, part)
        return int(value)

    @classmethod
    def decode(cls, words: Sequence[int]) -> Instruction:
        """The instruction in these words."""
        whole = [*words, *[0] * (cls.words - len(words))]
        return cls(**cls._arguments({field.name: field.decode(whole) for field in cls.layout}))

    @classmethod
    def length(cls, first: int) -> int:
        """The number of words of the instruction that begins with this word."""
        return cls.words

    @classmethod
    def _arguments(cls, stored: dict[str, int]) -> dict[str, Any]:
        """Field values as arguments of the dataclass: addresses combined, one-bit fields as bools."""
        arguments: dict[str, Any] = {}
        for field in cls.layout:
            name, _, part = field.name.partition(".")
            if part == "base":
                arguments[name] = Address(stored[f"{name}.base"], stored[f"{name}.register"])
            elif not part:
                arguments[name] = bool(stored[name]) if field.bits == 1 else stored[name]
        return arguments

    def __str__(self) -> str:
        """The name, and every field that differs from its default."""
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
