# SPDX-License-Identifier: MIT
"""Two's complement bit patterns, and rows of them packed into wide words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class ImageError(ValueError):
    """Raised for a word or memory image that does not fit."""


def unsigned(ints: Iterable[int], bits: int) -> list[int]:
    """The two's complement bit patterns of integers; raises ImageError if one does not fit."""
    limit, mask = 1 << bits, (1 << bits) - 1
    words = []
    for value in ints:
        if not -(limit >> 1) <= value < limit:
            raise ImageError(f"{value} does not fit into {bits} bits")
        words.append(int(value) & mask)
    return words


def signed(words: Iterable[int], bits: int) -> list[int]:
    """The integers whose two's complement bit patterns these are."""
    half, limit = 1 << (bits - 1), 1 << bits
    return [word - limit if word >= half else word for word in words]


def pack(rows: Sequence[Sequence[int]], bits: int) -> list[int]:
    """One wide word for each row of signed words; word 0 is in the least significant bits."""
    return joined([unsigned(row, bits) for row in rows], bits)


def joined(rows: Sequence[Sequence[int]], bits: int) -> list[int]:
    """One wide word for each row of bit patterns; the first is in the least significant bits."""
    wides = []
    for row in rows:
        wide = 0
        for word in reversed(row):
            wide = wide << bits | word
        wides.append(wide)
    return wides


def unpack(words: Iterable[int], count: int, bits: int) -> list[list[int]]:
    """The inverse of `pack`: the `count` signed words of `bits` bits in each wide word."""
    mask = (1 << bits) - 1
    return [[wide >> (bits * place) & mask for place in range(count)] for wide in words]


def digits(bits: int) -> int:
    """The number of hexadecimal digits of a word."""
    return -(-bits // 4)
