# SPDX-License-Identifier: MIT
"""Batch statistics estimated again after quantising.

Batch normalisation is folded into the weights before it, so what is estimated again is each channel's mean and
deviation behind every product, and what is corrected is that channel's weights and bias.
"""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.training.methods.method import Method


@dataclass(frozen=True)
class Moments(Method):
    """The training starts from a network whose channels have the float network's means and deviations."""

    @property
    def corrects_moments(self) -> bool:
        """Yes."""
        return True
