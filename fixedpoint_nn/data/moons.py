# SPDX-License-Identifier: MIT
"""Two interleaved half circles: a small classification problem that is not linearly separable."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.data.examples import Examples


def moons(n: int = 200, noise: float = 0.1, seed: int = 0) -> tuple[Examples, Examples]:
    """(train, test) of `n` points each: x (n, 2), y (n,) 0 or 1.

    Class 0 is (cos t, sin t), class 1 is (1 - cos t, 1/2 - sin t), for t in [0, pi].
    `noise` is the standard deviation of the normal noise added to each coordinate.
    """
    if n < 2:
        raise ValueError(f"Two moons have 2 points or more, not {n}.")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise is a standard deviation, 0 or more, and not {noise}.")
    rng = np.random.default_rng(seed)
    return _moons(n, noise, rng), _moons(n, noise, rng)


def _moons(n: int, noise: float, rng: np.random.Generator) -> Examples:
    outer = np.linspace(0, np.pi, n - n // 2)
    inner = np.linspace(0, np.pi, n // 2)
    points = np.concatenate(
        [np.stack([np.cos(outer), np.sin(outer)], 1), np.stack([1 - np.cos(inner), 0.5 - np.sin(inner)], 1)]
    )
    classes = np.concatenate([np.zeros(len(outer), np.int64), np.ones(len(inner), np.int64)])
    order = rng.permutation(n)
    points = points + noise * rng.standard_normal((n, 2))
    return Examples(points[order].astype(np.float32), classes[order], ("upper", "lower"))
