# SPDX-License-Identifier: MIT
"""Straight-through training: values are rounded by the plan's fixed formats, gradients as if nothing was."""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.training.methods.method import Method


@dataclass(frozen=True)
class StraightThrough(Method):
    """y = round(x), dy/dx = 1 where nothing was clipped (Bengio, Leonard and Courville, 2013)."""
