# SPDX-License-Identifier: MIT
"""Stochastic rounding while training: up with the probability of the fraction, so that rounding is right on average."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.methods.method import Method, Place
from fixedpoint_nn.training.methods.rounder import Rounder


@dataclass(frozen=True)
class FixedStep(Rounder):
    """A step that stays as it is."""

    def step_gradient(self, g: Array, passed: Array, v: Array, q: Array) -> Array:
        """dL/ds."""
        return np.zeros(self.exponent.data.size)


@dataclass(frozen=True)
class StochasticRounding(Method):
    """Weights are rounded at random in training (Gupta et al., 2015); what is evaluated rounds to the nearest."""

    activations: bool = False

    def rounder(self, place: Place, rounder: Any) -> Any:
        """The same rounder, drawing random numbers in training."""
        if not (place.is_weight or self.activations):
            return rounder
        return replace(rounder if isinstance(rounder, Rounder) else FixedStep.of(rounder), stochastic=True)
