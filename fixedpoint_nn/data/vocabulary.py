# SPDX-License-Identifier: MIT
"""Symbols as token ids, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.numerics.arrays import Array

BOUNDARY = "."


@dataclass(frozen=True)
class Vocabulary:
    """A string of symbols; the id of each is its index. For words id 0 is the boundary, their start and their end."""

    symbols: str

    def __post_init__(self) -> None:
        if len(set(self.symbols)) != len(self.symbols) or not self.symbols:
            raise ValueError(f"A vocabulary needs each symbol once, and at least one: {self.symbols!r}.")

    @classmethod
    def of_words(cls, words: Iterable[str]) -> Vocabulary:
        """The boundary, then every letter of the words, sorted by code point."""
        letters = {letter for word in words for letter in word}
        if BOUNDARY in letters:
            raise ValueError(f"The boundary {BOUNDARY!r} stands within a word; clean the words first.")
        return cls(BOUNDARY + "".join(sorted(letters)))

    @classmethod
    def of_text(cls, text: str) -> Vocabulary:
        """Every symbol of a text, sorted by code point; no boundary."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> Array:
        """The ids of a text's symbols, (len(text),) int64; an unknown symbol raises."""
        ids = {symbol: place for place, symbol in enumerate(self.symbols)}
        try:
            return np.fromiter((ids[symbol] for symbol in text), np.int64, len(text))
        except KeyError as error:
            symbol = error.args[0]
            raise ValueError(
                f"{symbol!r}, at place {text.index(symbol)} of {text[:40]!r}, "
                f"is not in the vocabulary {self.symbols!r}."
            ) from None

    def decode(self, ids: ArrayLike) -> str:
        """The text of these ids."""
        places = np.asarray(ids, dtype=np.int64).reshape(-1)
        if places.size and not 0 <= places.min() <= places.max() < len(self):
            raise ValueError(
                f"Ids run from {places.min()} to {places.max()}; the vocabulary ends at {len(self) - 1}."
            )
        return "".join(self.symbols[place] for place in places)
