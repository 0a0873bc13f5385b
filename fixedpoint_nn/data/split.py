# SPDX-License-Identifier: MIT
"""How data is held out: by position, so that no seed, machine or library version can change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def by_position(items: Sequence[T]) -> tuple[tuple[T, ...], tuple[T, ...], tuple[T, ...]]:
    """(train, dev, test) of 80, 10, 10 percent: of each ten items in order, the ninth is dev, the tenth test.

    Lists of names come sorted, by frequency or by alphabet, so every part sees all of the range.
    """
    train = tuple(item for place, item in enumerate(items) if place % 10 < 8)
    return train, tuple(items[8::10]), tuple(items[9::10])


def held_out_end(length: int, percent: int = 10) -> int:
    """Where the held-out end of a sequence starts, its last `percent`: neighbours are not independent."""
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} percent cannot be held out; it must be 0 to 100.")
    return length * (100 - percent) // 100
