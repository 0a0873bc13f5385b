# SPDX-License-Identifier: MIT
"""Learned step sizes (LSQ): every quantisation step has its own gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.methods.method import Method, Place
from fixedpoint_nn.training.methods.rounder import Rounder


@dataclass(frozen=True)
class LearnedStep(Rounder):
    """dy/ds = round(x/s) - x/s, or the limit where x was clipped (Esser et al., LSQ, 2020)."""

    def step_gradient(self, g: Array, passed: Array, v: Array, q: Array) -> Array:
        """dL/ds."""
        return self.dot(g, q) - self.dot(passed, v)


@dataclass(frozen=True)
class LearnedSteps(Method):
    """The steps of weights (per channel if the plan is), of activations, and of the input are learned.

    The input's gradient takes a backward pass through the first layer, which no other parameter needs: about an
    eighth of the time of a small convolutional network.
    """

    weights: bool = True
    activations: bool = True
    input: bool = True

    def rounder(self, place: Place, rounder: Any) -> Any:
        """A learned step, unless another method has already replaced the rounder."""
        wanted = self.weights if place.is_weight else self.input if place.input else self.activations
        if isinstance(rounder, Rounder) or not wanted:
            return rounder
        return LearnedStep.of(rounder)
