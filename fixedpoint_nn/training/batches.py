# SPDX-License-Identifier: MIT
"""Sources of mini-batches: each yields one epoch of (inputs, targets), in an order drawn by `rng`."""

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


class BatchSource(Protocol):
    """What `fit` takes batches from."""

    def __len__(self) -> int: ...
    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """The batches (inputs, targets) of one epoch."""


@dataclass(frozen=True)
class Samples:
    """Samples x (n, ...) with targets y (n, ...), shuffled, `size` per batch; None is one batch of all samples."""

    x: Array
    y: Array
    size: int | None = 128
    augment: Augment | None = None
    shuffle: bool = True

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not len(self.x):
            raise ValueError(
                f"{len(self.x)} inputs with {len(self.y)} targets do not fit; each input needs one target"
            )

    def __len__(self) -> int:
        return ceil(len(self.x) / (self.size or len(self.x)))

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """The batches of one epoch, augmented if there is an `augment`."""
        order = rng.permutation(len(self.x)) if self.shuffle else np.arange(len(self.x))
        size = self.size or len(self.x)
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            x = self.x[rows]
            yield (x if self.augment is None else self.augment(x, rng)), self.y[rows]


@dataclass(frozen=True)
class TextWindows:
    """`steps` batches of random windows of a text's ids; the targets are the ids one position later."""

    ids: Array
    length: int = 64
    size: int = 64
    steps: int = 100

    def __len__(self) -> int:
        return self.steps

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """(inputs, targets), each (size, length)."""
        along = np.arange(self.length + 1)
        for _ in range(self.steps):
            text = self.ids[rng.integers(0, len(self.ids) - self.length, self.size)[:, None] + along]
            yield text[:, :-1], text[:, 1:]


def padded(sequences: Sequence[ArrayLike], end: int = 0) -> Batch:
    """Sequences of ids as (inputs, targets), each (n, longest + 1).

    Inputs begin with `end`, targets finish with it. Targets are padded with -1, which losses ignore.
    """
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
    """Sequences of ids, shuffled; each batch is padded to its longest sequence."""

    words: Sequence[ArrayLike]
    size: int = 64
    end: int = 0

    def __len__(self) -> int:
        return ceil(len(self.words) / self.size)

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """(inputs, targets) as `padded` gives them."""
        order = rng.permutation(len(self.words))
        for start in range(0, len(order), self.size):
            yield padded([self.words[i] for i in order[start : start + self.size]], self.end)
