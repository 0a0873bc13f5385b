# SPDX-License-Identifier: MIT
"""The interface of a training method for few bits; its defaults are straight-through training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.training.batches import BatchSource
from fixedpoint_nn.training.losses import Loss

PlaceQuantizer = Quantizer | ChannelQuantizer
Teacher = Callable[[Array], Array]


@dataclass(frozen=True)
class Place:
    """One place where a network rounds: its path, its entry in the plan, and for a parameter its float values.

    `input` marks the rounding of the network's input, and `output` that of its outputs, which keeps its own width.
    """

    path: str
    entry: PlaceQuantizer
    values: Array | None = None
    output: bool = False
    input: bool = False

    @property
    def is_weight(self) -> bool:
        """Whether it is a parameter, not an activation."""
        return self.values is not None


@dataclass(frozen=True)
class Stage:
    """One phase of a training: `epochs` epochs, in formats with `extra` more bits than the plan's."""

    epochs: int
    extra: int = 0


@dataclass(frozen=True)
class Method:
    """Straight-through training; a method overrides what it does differently."""

    def entry(self, place: Place) -> PlaceQuantizer:
        """The plan's entry (format) that this place is trained for."""
        return place.entry

    def rounder(self, place: Place, rounder: Any) -> Any:
        """What rounds in this place during training: a quantizer, or a `Rounder`."""
        return rounder

    def source(self, source: BatchSource, teacher: Teacher | Array) -> BatchSource:
        """The source of batches; `teacher` is a callable network, or its outputs for every sample."""
        return source

    def loss(self, loss: Loss) -> Loss:
        """The loss to minimise."""
        return loss

    def stages(self, epochs: int) -> tuple[Stage, ...]:
        """The phases of a training of `epochs` epochs, in order."""
        return (Stage(epochs),)

    @property
    def corrects_moments(self) -> bool:
        """Whether each channel's mean and deviation are corrected to the float network's, before and after training."""
        return False
