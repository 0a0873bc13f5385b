# SPDX-License-Identifier: MIT
"""Functions of 32-bit floats, as the kernels of TFLite compute them by those of the C library."""

from __future__ import annotations

from math import erfc, sqrt
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.tflite.c_library import of_floats

ONE, HALF = np.float32(1), np.float32(0.5)
SQRT_2_OVER_PI = np.float32(sqrt(2 / np.pi))


exp, tanh, expm1 = of_floats("expf", np.exp), of_floats("tanhf", np.tanh), of_floats("expm1f", np.expm1)
log, sin, cos = of_floats("logf", np.log), of_floats("sinf", np.sin), of_floats("cosf", np.cos)
_erfc = of_floats("erfcf", np.vectorize(erfc, otypes=[np.float64]))


def logistic(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return ONE / (ONE + exp(-x))


def elu(x: Any) -> Any:
    """x, or exp(x) - 1 below zero."""
    return np.where(x < 0, expm1(np.minimum(x, 0)), x)


def gelu(x: Any) -> Any:
    """x * erfc(-x / sqrt(2)) / 2."""
    return HALF * x * _erfc(x * np.float32(-sqrt(0.5)))


def gelu_by_tanh(x: Any) -> Any:
    """The approximation x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2."""
    return HALF * x * (ONE + tanh(SQRT_2_OVER_PI * (x + np.float32(0.044715) * x * x * x)))
