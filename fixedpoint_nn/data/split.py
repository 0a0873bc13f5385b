# SPDX-License-Identifier: MIT
"""Train, dev and test splits by position, so that no seed, machine or library version changes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def by_position(items: Sequence[T]) -> tuple[tuple[T, ...], tuple[T, ...], tuple[T, ...]]:
    """(train, dev, test) of 80, 10, 10 percent: of each ten items in order, the ninth is dev, the tenth test.

    Name lists are sorted, by frequency or alphabet, so each part covers the whole range.
    """
    train = tuple(item for place, item in enumerate(items) if place % 10 < 8)
    return train, tuple(items[8::10]), tuple(items[9::10])


def held_out_end(length: int, percent: int = 10) -> int:
    """The index where the held-out last `percent` of a sequence of this length starts.

    Neighbours in a sequence are not independent, so the held-out part is one block.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} percent cannot be held out; it must be 0 to 100.")
    return length * (100 - percent) // 100
