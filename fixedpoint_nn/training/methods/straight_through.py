# SPDX-License-Identifier: MIT
"""Straight-through training: values are rounded to the plan's formats, and gradients pass as if they were not."""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.training.methods.method import Method


@dataclass(frozen=True)
class StraightThrough(Method):
    """y = round(x), dy/dx = 1 where nothing was clipped (Bengio, Leonard and Courville, 2013)."""
