# SPDX-License-Identifier: MIT
"""The real functions behind `lookup`, each with its derivative written in terms of its value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.numerics.arrays import Array


@dataclass(frozen=True)
class Function:
    """`value(x)` is y; `slope(y)` is dy/dx. Both write to `out`, if it is given; `value` may write over x."""

    value: Callable[..., Array]
    slope: Callable[..., Array]


def _sigmoid(x: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-x)), as a tanh, which overflows nowhere."""
    y: Array = np.tanh(np.multiply(x, 0.5, out=out), out=out)
    y *= 0.5
    y += 0.5
    return y


def _sigmoid_slope(y: Array, out: Array | None = None) -> Array:
    slope: Array = np.subtract(1, y, out=out)
    return np.multiply(slope, y, out=out)


def _tanh_slope(y: Array, out: Array | None = None) -> Array:
    return np.subtract(1, np.multiply(y, y, out=out), out=out)


def _exp_slope(y: Array, out: Array | None = None) -> Array:
    return np.positive(y, out=out)


def _reciprocal(x: Array, out: Array | None = None) -> Array:
    return np.divide(1, x, out=out)


def _reciprocal_slope(y: Array, out: Array | None = None) -> Array:
    return np.negative(np.multiply(y, y, out=out), out=out)


FUNCTIONS = {
    "sigmoid": Function(_sigmoid, _sigmoid_slope),
    "tanh": Function(np.tanh, _tanh_slope),
    "exp": Function(np.exp, _exp_slope),
    "reciprocal": Function(_reciprocal, _reciprocal_slope),
}
