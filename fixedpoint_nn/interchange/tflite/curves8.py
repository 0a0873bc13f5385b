# SPDX-License-Identifier: MIT
"""Real functions of 8-bit codes: tables, which TFLite computes in 32-bit floats or in whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.affine.gemmlowp import inverse_square_root
from fixedpoint_nn.interchange.affine.multiplier import multiplied, quantized_multiplier, round_away
from fixedpoint_nn.interchange.tflite.codes import eight_bits, tabulated, tabulated_steps
from fixedpoint_nn.interchange.tflite.curves16 import CURVES16, by_segments
from fixedpoint_nn.interchange.tflite.real_functions import (
    ONE,
    elu,
    exp,
    gelu,
    gelu_by_tanh,
    logistic,
    tanh,
)
from fixedpoint_nn.interchange.tflite.real_functions import log as log_of
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep

EITHER = "int8", "uint8"
BY_SEGMENTS = "EXP", "GELU", "LOG"  # if of 16 bits
FINE = 20  # bits behind the point of an inverse square root


def curve(function: Callable[[Any], Any], types: tuple[str, ...] = ("int8",)) -> Callable[[TfliteStep], Made]:
    """The converter of a real function of 32-bit floats to a table of 8-bit codes of `types`, computed as by TFLite."""

    def convert(step: TfliteStep) -> Made:
        x, output = step.value(0), step.output()
        if step.same_type(x.tensor, output) == "int16" and step.operator.kind in CURVES16:
            return CURVES16[step.operator.kind](step)
        if output.dtype == "int16" and step.operator.kind in BY_SEGMENTS:
            return by_segments(step, function)
        eight_bits(step, x, types)
        if step.operator.kind == "LOGISTIC" and np.float32(output.scale) != np.float32(1 / 256):
            raise Unsuited(f"has the output scale {output.scale}, and TFLite's has 1/256")
        first = x.format.int_min
        centred = np.arange(first, x.format.int_max + 1).astype(np.float32)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            real = function(np.float32(x.tensor.scale) * centred)
            steps = round_away(real * (ONE / np.float32(output.scale)))
        return tabulated_steps(step, x, first, steps)

    return convert


def convert_gelu(step: TfliteStep) -> Made:
    """Convert GELU, exact or by its approximation."""
    return curve(gelu_by_tanh if step.options["Approximate"] else gelu, EITHER)(step)


def log(step: TfliteStep) -> Made:
    """Convert LOG; where no logarithm is, the lowest code."""
    output = step.output()
    lowest = np.float32(output.codes[0] - output.zero) * np.float32(output.scale)

    def function(x: Any) -> Any:
        return np.where(x > 0, log_of(np.where(x > 0, x, ONE)), lowest)

    return curve(function)(step)


def rsqrt(step: TfliteStep) -> Made:
    """Convert RSQRT by Newton's iteration in whole numbers; the highest code at zero, and below it, where none is."""
    x, output = step.value(0), step.output()
    if step.same_type(x.tensor, output) == "int16":
        return by_segments(step, _reciprocal_root(output.codes[1] * np.float32(output.scale)))
    eight_bits(step, x, ("int8",))
    root = np.sqrt(np.float32(x.tensor.scale)) * np.float32(output.scale)
    m, shift = quantized_multiplier(float(1.0 / np.float64(root)))

    def function(code: int) -> int:
        if code <= 0:
            return output.centred[1]
        inverse, places = inverse_square_root(code)
        return multiplied(multiplied(1, inverse, FINE - places), m, shift - FINE)

    return tabulated(step, x, function)


def _reciprocal_root(largest: Any) -> Callable[[Any], Any]:
    """1 / sqrt(x), or the largest number where there is none."""
    return lambda x: np.where(x > 0, ONE / np.sqrt(np.where(x > 0, x, ONE)), largest)


CURVES = {
    "ELU": curve(elu),
    "EXP": curve(exp),
    "GELU": convert_gelu,
    "LOG": log,
    "LOGISTIC": curve(logistic, EITHER),
    "RSQRT": rsqrt,
    "TANH": curve(tanh, EITHER),
}
