# SPDX-License-Identifier: MIT
"""The real functions of `lookup`, with their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf, pi, sqrt

import numpy as np

from fixedpoint_nn.numerics.arrays import Array


@dataclass(frozen=True)
class Function:
    """A function: `value(x)` is y and `slope(y)` is dy/dx; both write to `out` if given, and `value` may overwrite x.

    A function that is not invertible, or not easily, has `slope_at(x)` instead of `slope`. If it is `recordable`, its
    value and slope take `do`, which performs or records each operation.
    """

    value: Callable[..., Array]
    slope: Callable[..., Array] | None = None
    slope_at: Callable[[Array], Array] | None = None
    recordable: bool = False

    def gradient(self, x: Array, y: Array) -> Array:
        """dy/dx by `slope` or `slope_at`."""
        if self.slope is not None:
            return self.slope(y)
        assert self.slope_at is not None
        return self.slope_at(x)


def _now(function: np.ufunc, *operands: Array | float, out: Array | None) -> Array:
    result: Array = function(
        *operands, out=out if isinstance(out, np.ndarray) else None
    )  # a scalar is no place
    return result


Do = Callable[..., Array]  # performs function(*operands, out=out), or records it


def _sigmoid(x: Array, out: Array | None = None, do: Do = _now) -> Array:
    """1 / (1 + exp(-x)) by tanh, which cannot overflow."""
    half = do(np.multiply, x, 0.5, out=out)
    y = do(np.tanh, half, out=half)
    return do(np.add, do(np.multiply, y, 0.5, out=y), 0.5, out=y)


def _sigmoid_slope(y: Array, out: Array | None = None, do: Do = _now) -> Array:
    slope = do(np.subtract, 1, y, out=out)
    return do(np.multiply, slope, y, out=slope)


def _tanh(x: Array, out: Array | None = None, do: Do = _now) -> Array:
    return do(np.tanh, x, out=out)


def _tanh_slope(y: Array, out: Array | None = None, do: Do = _now) -> Array:
    square = do(np.multiply, y, y, out=out)
    return do(np.subtract, 1, square, out=square)


def _exp_slope(y: Array, out: Array | None = None) -> Array:
    return np.positive(y, out=out)


def _reciprocal(x: Array, out: Array | None = None) -> Array:
    return np.divide(1, x, out=out)


def _reciprocal_slope(y: Array, out: Array | None = None) -> Array:
    return np.negative(np.multiply(y, y, out=out), out=out)


def _erf(x: Array, out: Array | None = None) -> Array:
    y: Array = np.vectorize(erf, otypes=[x.dtype])(x)
    return np.positive(y, out=out)


def _erf_slope(x: Array) -> Array:
    slope: Array = 2 / sqrt(pi) * np.exp(-x * x)
    return slope


def _gelu(x: Array, out: Array | None = None) -> Array:
    y: Array = np.multiply(x, _phi(x), out=out)
    return y


def _gelu_slope(x: Array) -> Array:
    slope: Array = _phi(x) + x * np.exp(-x * x / 2) / sqrt(2 * pi)
    return slope


def _phi(x: Array) -> Array:
    """The cumulative distribution function of the standard normal distribution."""
    phi: Array = 0.5 + _erf(x * np.sqrt(x.dtype.type(0.5))) * 0.5
    return phi


def _softplus(x: Array, out: Array | None = None) -> Array:
    y: Array = np.logaddexp(x, x.dtype.type(0), out=out)
    return y


def _softplus_slope(y: Array, out: Array | None = None) -> Array:
    slope: Array = np.expm1(-y, out=out)
    return np.negative(slope, out=out)


def _log_slope(y: Array, out: Array | None = None) -> Array:
    slope: Array = np.exp(-y, out=out)
    return slope


def _sqrt_slope(y: Array, out: Array | None = None) -> Array:
    slope: Array = np.divide(0.5, y, out=out)
    return slope


def _rsqrt(x: Array, out: Array | None = None) -> Array:
    y: Array = np.divide(1, np.sqrt(x), out=out)
    return y


def _rsqrt_slope(y: Array, out: Array | None = None) -> Array:
    slope: Array = np.multiply(y * y * y, -0.5, out=out)
    return slope


def _step(x: Array, out: Array | None = None) -> Array:
    y: Array = (x > 0).astype(x.dtype)
    return np.positive(y, out=out)


FUNCTIONS = {
    "sigmoid": Function(_sigmoid, _sigmoid_slope, recordable=True),
    "tanh": Function(_tanh, _tanh_slope, recordable=True),
    "exp": Function(np.exp, _exp_slope),
    "reciprocal": Function(_reciprocal, _reciprocal_slope),
    "erf": Function(_erf, slope_at=_erf_slope),
    "gelu": Function(_gelu, slope_at=_gelu_slope),
    "softplus": Function(_softplus, _softplus_slope),
    "log": Function(np.log, _log_slope),
    "sqrt": Function(np.sqrt, _sqrt_slope),
    "rsqrt": Function(_rsqrt, _rsqrt_slope),
    "inverse": Function(_reciprocal, _reciprocal_slope),
    "step": Function(_step, slope_at=np.zeros_like),
}
