# SPDX-License-Identifier: MIT
"""What a way of training for few bits may decide; whatever it leaves alone is straight-through training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.training.batches import Source
from fixedpoint_nn.training.losses import Loss

Entry = Quantizer | ChannelQuantizer
Teacher = Callable[[Array], Array]


@dataclass(frozen=True)
class Place:
    """One place that rounds: its path, its entry in the plan, and of a parameter the float values.

    `output` marks the values that leave the network, which keep their own length.
    """

    path: str
    entry: Entry
    values: Array | None = None
    output: bool = False

    @property
    def is_weight(self) -> bool:
        """Whether it is a parameter, not a value between layers."""
        return self.values is not None


@dataclass(frozen=True)
class Stage:
    """A part of a training: so many epochs, with `extra` bits more than the plan has."""

    epochs: int
    extra: int = 0


@dataclass(frozen=True)
class Method:
    """Straight-through training; a method overrides what it does in another way."""

    def entry(self, place: Place) -> Entry:
        """The format that this place is trained for."""
        return place.entry

    def rounder(self, place: Place, rounder: Any) -> Any:
        """What rounds in this place while the network is trained: a quantizer, or a `Rounder`."""
        return rounder

    def source(self, source: Source, teacher: Teacher | Array) -> Source:
        """Where batches come from; `teacher` gives a network's outputs, or is those of each sample."""
        return source

    def loss(self, loss: Loss) -> Loss:
        """What is made small."""
        return loss

    def stages(self, epochs: int) -> tuple[Stage, ...]:
        """The training's parts, in their order."""
        return (Stage(epochs),)

    @property
    def corrects_moments(self) -> bool:
        """Whether means and deviations are brought back to the float network's, before and after the training."""
        return False
