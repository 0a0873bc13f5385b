# SPDX-License-Identifier: MIT
"""Data for character-level language models: lists of given names, and one long text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fixedpoint_nn.data.examples import Examples
from fixedpoint_nn.data.lines import read_lines, read_tagged_names
from fixedpoint_nn.data.sources import PublishedFile, locate
from fixedpoint_nn.data.split import by_position, held_out_end
from fixedpoint_nn.data.vocabulary import Vocabulary
from fixedpoint_nn.numerics.arrays import Array

_NAMES = PublishedFile(
    "names_makemore",
    "names.txt",
    "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",
    "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
)
_TAGGED = PublishedFile(
    "names_fr",
    "Prenoms.csv",
    "https://www.data.gouv.fr/fr/datasets/r/55cd803a-998d-4a5c-9741-4cd0ee0a7699",
    "195c7b9d43919d0c8b8de239c93b93d2402a1dc266ab680376521dffe37cb2d2",
)
_SHAKESPEARE = PublishedFile(
    "tinyshakespeare",
    "input.txt",
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


@dataclass(frozen=True)
class Words:
    """Words, split by position; the vocabulary has all their letters, and id 0 as the boundary of a word."""

    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]
    vocabulary: Vocabulary

    @classmethod
    def of(cls, words: Iterable[str]) -> Words:
        """Words with their vocabulary, split into training, development and test words."""
        words = tuple(words)
        return cls(*by_position(words), Vocabulary.of_words(words))

    def __len__(self) -> int:
        return len(self.train) + len(self.dev) + len(self.test)


@dataclass(frozen=True, eq=False)
class Text:
    """A text as token ids, `train` and `test` one-dimensional int64 arrays; the last tenth is the test part."""

    train: Array
    test: Array
    vocabulary: Vocabulary

    @classmethod
    def of(cls, text: str) -> Text:
        """The token ids of a text and its vocabulary."""
        vocabulary = Vocabulary.of_text(text)
        ids = vocabulary.encode(text)
        cut = held_out_end(len(ids))
        return cls(ids[:cut], ids[cut:], vocabulary)


def names() -> Words:
    """The 29,494 given names (a to z) in the 32,033 lines of karpathy/makemore, most frequent first."""
    return Words.of(read_lines(locate(_NAMES)))


def french_names() -> Words:
    """French given names, with their accents, in alphabetical order; the list ships with this package."""
    return Words.of(read_lines(Path(__file__).with_name("french_names.txt")))


def tagged_names_csv() -> Path:
    """The path of data.gouv.fr's Prenoms.csv, as published: ISO-8859-1, separated by semicolons."""
    return locate(_TAGGED)


def tagged_names(language: str | None = "french") -> Words:
    """The names that data.gouv.fr's list of 11,627 tags with a language; None for all of them."""
    return Words.of(read_tagged_names(tagged_names_csv(), language))


def text() -> Text:
    """A million characters of Shakespeare, from karpathy/char-rnn."""
    return Text.of(locate(_SHAKESPEARE).read_text(encoding="utf-8"))


def contexts(words: Iterable[str], length: int, vocabulary: Vocabulary) -> Examples:
    """Next-letter examples: y (n,) every letter and end of the words, x (n, length) the ids before it.

    For the words "ab" and "c" and a length of 2, x is [0 0] [0 a] [a b] [0 0] [0 c] and y is a b 0 c 0.
    """
    if length < 1:
        raise ValueError(f"A context has 1 letter or more, not {length}.")
    ids = [vocabulary.encode(word) for word in words]
    before, after = np.zeros(length, np.int64), np.zeros(1, np.int64)
    rows = [np.lib.stride_tricks.sliding_window_view(np.concatenate([before, word]), length) for word in ids]
    targets = [np.concatenate([word, after]) for word in ids]
    if not rows:
        return Examples(np.zeros((0, length), np.int64), np.zeros(0, np.int64))
    return Examples(np.concatenate(rows), np.concatenate(targets))
