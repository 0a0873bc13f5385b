# SPDX-License-Identifier: MIT
"""Learned step sizes: every step moves along its own gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.methods.method import Method, Place
from fixedpoint_nn.training.methods.rounder import Rounder


@dataclass(frozen=True)
class LearnedStep(Rounder):
    """dy/ds = round(x/s) - x/s inside, and the limit where x was clipped (Esser et al., LSQ, 2020)."""

    def step_gradient(self, g: Array, passed: Array, v: Array, q: Array) -> Array:
        """dL/ds."""
        return self.dot(g, q) - self.dot(passed, v)


@dataclass(frozen=True)
class LearnedSteps(Method):
    """The steps of weights (each channel's, where the plan has them) and of values between layers are learned."""

    weights: bool = True
    activations: bool = True

    def rounder(self, place: Place, rounder: Any) -> Any:
        """A learned step, unless another method has put one there."""
        wanted = self.weights if place.is_weight else self.activations
        if isinstance(rounder, Rounder) or not wanted:
            return rounder
        return LearnedStep.of(rounder)
