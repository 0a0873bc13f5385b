# SPDX-License-Identifier: MIT
"""Samples as whole runs of a program that computes several of them at once."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numbers.fixed.array import FixedArray


def whole_runs(samples: FixedArray, batch: int) -> FixedArray:
    """The samples, and the first ones again until the last run of `batch` is full."""
    if len(samples) % batch == 0:
        return samples
    places = np.arange(-(-len(samples) // batch) * batch) % len(samples)
    return FixedArray.from_ints(samples.ints[places], samples.format)
