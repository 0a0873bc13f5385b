# SPDX-License-Identifier: MIT
"""Bit fields of instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class AssemblyError(ValueError):
    """Raised for an instruction that cannot be encoded or is illegal."""


@dataclass(frozen=True)
class Address:
    """An address: `base` plus the value of a register when the instruction is executed; register 0 is always 0."""

    base: int = 0
    register: int = 0


@dataclass(frozen=True)
class Field:
    """The field `name`: bits `low` to `low + bits - 1` of word `word`; `minus_one` fields store the value less 1."""

    name: str
    word: int
    low: int
    bits: int
    signed: bool = False
    minus_one: bool = False
    meaning: str = ""

    def encode(self, value: int) -> int:
        """The value's bits, shifted to their place in the word; raises AssemblyError if it does not fit."""
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
        """The value of this field in an instruction's words."""
        stored = words[self.word] >> self.low & ((1 << self.bits) - 1)
        if self.signed and stored >> (self.bits - 1):
            stored -= 1 << self.bits
        return stored + self.minus_one


def address_fields(name: str, word: int, meaning: str) -> tuple[Field, Field]:
    """The two fields of an `Address` in one word: base and register."""
    return (
        Field(f"{name}.base", word, 0, 24, meaning=meaning),
        Field(f"{name}.register", word, 24, 3, meaning="register added to it"),
    )
