# SPDX-License-Identifier: MIT
"""Where mini-batches come from: a source yields an epoch of (inputs, targets), in an order that rng draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.losses import IGNORED

Batch = tuple[Array, Array]
Augment = Callable[[Array, np.random.Generator], Array]


class Source(Protocol):
    """One epoch of batches."""

    def __len__(self) -> int: ...
    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """The batches of one epoch, in the order that `rng` decides."""


@dataclass(frozen=True)
class Samples:
    """Rows of x with rows of y, shuffled; size 1 is stochastic descent, size None one batch of everything."""

    x: Array
    y: Array
    size: int | None = 128
    augment: Augment | None = None
    shuffle: bool = True

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not len(self.x):
            raise ValueError(
                f"{len(self.x)} inputs with {len(self.y)} targets are not samples; each needs one"
            )

    def __len__(self) -> int:
        return ceil(len(self.x) / (self.size or len(self.x)))

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """The batches of one epoch, in the order that `rng` decides."""
        order = rng.permutation(len(self.x)) if self.shuffle else np.arange(len(self.x))
        size = self.size or len(self.x)
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            x = self.x[rows]
            yield (x if self.augment is None else self.augment(x, rng)), self.y[rows]


@dataclass(frozen=True)
class TextWindows:
    """`steps` batches of random stretches of a text (as ids); the target is the text one character on."""

    ids: Array
    length: int = 64
    size: int = 64
    steps: int = 100

    def __len__(self) -> int:
        return self.steps

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Windows of the text, and the same moved by one character."""
        along = np.arange(self.length + 1)
        for _ in range(self.steps):
            text = self.ids[rng.integers(0, len(self.ids) - self.length, self.size)[:, None] + along]
            yield text[:, :-1], text[:, 1:]


def padded(sequences: Sequence[ArrayLike], end: int = 0) -> Batch:
    """Words as (inputs, targets): inputs start with `end`, targets stop with it; padding is ignored."""
    words = [np.asarray(sequence, np.int64) for sequence in sequences]
    longest = max(map(len, words)) + 1
    inputs = np.full((len(words), longest), end)
    targets = np.full((len(words), longest), IGNORED)
    for row, word in enumerate(words):
        inputs[row, 1 : len(word) + 1] = word
        targets[row, : len(word)] = word
        targets[row, len(word)] = end
    return inputs, targets


@dataclass(frozen=True)
class WordBatches:
    """Padded words, shuffled; each batch is cut to its longest word."""

    words: Sequence[ArrayLike]
    size: int = 64
    end: int = 0

    def __len__(self) -> int:
        return ceil(len(self.words) / self.size)

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Words, padded to the longest of each batch."""
        order = rng.permutation(len(self.words))
        for start in range(0, len(order), self.size):
            yield padded([self.words[i] for i in order[start : start + self.size]], self.end)
