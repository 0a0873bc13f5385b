# SPDX-License-Identifier: MIT
"""Where a value stands in an instruction's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
        """The field's bits at their place in the word; AssemblyError if the value does not fit."""
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
        """The value that an instruction's words hold."""
        stored = words[self.word] >> self.low & ((1 << self.bits) - 1)
        if self.signed and stored >> (self.bits - 1):
            stored -= 1 << self.bits
        return stored + self.minus_one


def address_fields(name: str, word: int, meaning: str) -> tuple[Field, Field]:
    """The fields of an `Address` in one word: base and register."""
    return (
        Field(f"{name}.base", word, 0, 24, meaning=meaning),
        Field(f"{name}.register", word, 24, 3, meaning="register added to it"),
    )
