# SPDX-License-Identifier: MIT
"""What defines a network of the zoo: how it is built, trained and evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.batches import BatchSource
from fixedpoint_nn.training.losses import Loss, cross_entropy
from fixedpoint_nn.training.optimisers import Adam, Optimiser
from fixedpoint_nn.training.schedules import Schedule, constant

Examples = tuple[Array, Array]


def check_split(split: str, what: str, splits: tuple[str, ...] = ("train", "test")) -> None:
    """Raise ValueError, naming what is split, unless there is such a split."""
    if split not in splits:
        *first, last = splits
        raise ValueError(f"there is no split {split!r}; the {what} split into {', '.join(first)} and {last}")


@dataclass(frozen=True)
class Bar:
    """The result that a training must reach on held-out data: `figure` at most `value`, or at least with `at_least`."""

    figure: str
    value: float
    at_least: bool = False

    def reached(self, result: float) -> bool:
        """Whether the result is good enough."""
        return result >= self.value if self.at_least else result <= self.value

    def __str__(self) -> str:
        return f"{self.figure} {'at least' if self.at_least else 'at most'} {self.value:g}"


@dataclass(frozen=True)
class TrainingRecipe:
    """How a network is trained: everything but the seed that determines the weights."""

    epochs: int
    optimiser: Callable[[], Optimiser] = Adam
    schedule: Schedule = constant()
    loss: Loss = cross_entropy
    clip: float | None = None
    watch: str = "loss"
    patience: int | None = None


@dataclass(frozen=True)
class Entry:
    """One network of the zoo.

    `build(seed)` returns the untrained network, `source()` its training batches, `examples(split)` the inputs and
    targets of a split, and `figures(net, x, y)` the metrics by name. `held_out` is the split on which it is evaluated.
    """

    name: str
    summary: str
    build: Callable[[int], Any]
    source: Callable[[], BatchSource]
    examples: Callable[[str], Examples]
    figures: Callable[[Any, Array, Array], dict[str, float]]
    recipe: TrainingRecipe
    bar: Bar | None = None
    held_out: str = "test"
