# SPDX-License-Identifier: MIT
"""Stochastic rounding in training: up with a probability equal to the fraction, so that rounding is unbiased."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.methods.method import Method, Place
from fixedpoint_nn.training.methods.rounder import Rounder


@dataclass(frozen=True)
class FixedStep(Rounder):
    """A rounder whose step is not trained."""

    def step_gradient(self, g: Array, passed: Array, v: Array, q: Array) -> Array:
        """0: the step has no gradient."""
        return np.zeros(self.exponent.data.size)


@dataclass(frozen=True)
class StochasticRounding(Method):
    """Weights are rounded stochastically in training (Gupta et al., 2015), to nearest in evaluation."""

    activations: bool = False

    def rounder(self, place: Place, rounder: Any) -> Any:
        """The rounder, made stochastic."""
        if not (place.is_weight or self.activations):
            return rounder
        return replace(rounder if isinstance(rounder, Rounder) else FixedStep.of(rounder), stochastic=True)
