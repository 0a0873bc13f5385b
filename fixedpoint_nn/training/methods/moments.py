# SPDX-License-Identifier: MIT
"""Re-estimation of batch statistics after quantising.

Batch normalisation is folded into the weights, so the mean and deviation of each channel are estimated after every
dense layer and convolution, and the weights and bias of that channel are corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.training.methods.method import Method


@dataclass(frozen=True)
class Moments(Method):
    """Training starts from a quantised network whose channels have the float network's means and deviations."""

    @property
    def corrects_moments(self) -> bool:
        """True."""
        return True
