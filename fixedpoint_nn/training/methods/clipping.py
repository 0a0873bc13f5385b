# SPDX-License-Identifier: MIT
"""Learned clipping (PACT): the clipping limit of activations is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.methods.method import Method, Place
from fixedpoint_nn.training.methods.rounder import Rounder


@dataclass(frozen=True)
class LearnedLimit(Rounder):
    """dy/d(limit) = 1 where x was clipped, else 0 (Choi et al., PACT, 2018); the limit is high * s."""

    def step_gradient(self, g: Array, passed: Array, v: Array, q: Array) -> Array:
        """dL/ds."""
        return self.dot(g - passed, q)


@dataclass(frozen=True)
class LearnedClipping(Method):
    """Activations have a learned clipping limit; weights keep the plan's formats."""

    def rounder(self, place: Place, rounder: Any) -> Any:
        """A learned limit for an activation."""
        if place.is_weight or isinstance(rounder, Rounder):
            return rounder
        return LearnedLimit.of(rounder)
