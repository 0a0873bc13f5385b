# SPDX-License-Identifier: MIT
"""Gradients the slow way: move one number a little and look."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from fixedpoint_nn import Tensor


def worst_gradient_error(
    function: Callable[[], Tensor], leaves: Iterable[Tensor], seed: int = 0, samples: int = 12
) -> float:
    """The largest difference, relative to 1 + |gradient|, between `backward` and central differences.

    The result is contracted with fixed random weights, so that every element of it counts differently.
    """
    rng = np.random.default_rng(seed)
    leaves = list(leaves)
    weights = rng.standard_normal(function().shape)
    for leaf in leaves:
        leaf.grad = None
    (function() * Tensor(weights)).sum().backward()
    step, worst = 1e-6, 0.0
    for leaf in leaves:
        assert leaf.grad is not None, "a leaf got no gradient"
        for flat in rng.choice(leaf.data.size, min(samples, leaf.data.size), replace=False):
            place = np.unravel_index(flat, leaf.shape)
            value = leaf.data[place]
            leaf.data[place] = value + step
            above = float((function().data * weights).sum())
            leaf.data[place] = value - step
            below = float((function().data * weights).sum())
            leaf.data[place] = value
            error = abs((above - below) / (2 * step) - leaf.grad[place]) / (1 + abs(leaf.grad[place]))
            assert np.isfinite(error)
            worst = max(worst, float(error))
    return worst
