# SPDX-License-Identifier: MIT
"""Operators of one value: a table over the codes of 8 bits, or a rescaling of 16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, whole
from fixedpoint_nn.interchange.affine.multiplier import multiplied, quantized_multiplier, round_away
from fixedpoint_nn.interchange.affine.rescale import Lookup, rescaled_twice
from fixedpoint_nn.interchange.tflite.curves16 import CURVES16
from fixedpoint_nn.interchange.tflite.step import (
    RELU,
    RELU6,
    RELU_N1_TO_1,
    Made,
    Step,
    Value,
    activation_range,
)
from fixedpoint_nn.numerics.value_table import ValueTable

RELU_0_TO_1 = -1


def rectified(activation: int) -> Callable[[Step], Made]:
    """RELU, RELU6, RELU_N1_TO_1, RELU_0_TO_1: a rescaling that stops at the ends of a range."""

    def convert(step: Step) -> Made:
        x, output = step.value(0), step.output()
        step.same_type(x.tensor, output)
        if activation == RELU_0_TO_1:
            ends = activation_range(output, RELU_N1_TO_1)
            codes = max(output.centred[0], 0), ends[1]
        else:
            codes = activation_range(output, activation)
        return _rescaled(step, x, float(np.float32(x.tensor.scale) / np.float32(output.scale)), codes)

    return convert


def requantize(step: Step) -> Made:
    """QUANTIZE of integers: another scale, another zero point, or another number of bits."""
    x, output = step.value(0), step.output()
    return _rescaled(step, x, x.tensor.scale / output.scale, output.centred)


def _rescaled(step: Step, x: Value, real: float, codes: tuple[int, int]) -> Made:
    if x.tensor.dtype != "int8":
        return Made(rescaled_twice(real, x.range, codes, step.name), (x,), codes)
    m, shift = quantized_multiplier(real)
    low, high = codes
    if max(-x.low, x.high) << max(shift, 0) >= 1 << 31:
        raise Unsuited(f"multiplies by {real:.4g}, and 32 bits overflow")
    table = ValueTable.of(
        "rescale",
        lambda code: min(max(multiplied(code, m, shift), low), high),
        x.format,
        whole(*codes),
        step.name,
    )
    return Made(Lookup(table), (x,), codes)


def curve(name: str, function: Callable[[Any], Any]) -> Callable[[Step], Made]:
    """A function of real numbers, in 32-bit floats, as a table of 8-bit codes."""

    def convert(step: Step) -> Made:
        x, output = step.value(0), step.output()
        if step.same_type(x.tensor, output) != "int8":
            return CURVES16[step.operator.kind](step)
        if name == "logistic" and np.float32(output.scale) != np.float32(1 / 256):
            raise Unsuited(f"has the output scale {output.scale}, and TFLite's has 1/256")
        return Made(Lookup(_table(step, x, name, function)), (x,), output.centred)

    return convert


def _table(step: Step, x: Value, name: str, function: Callable[[Any], Any]) -> ValueTable:
    output, f = step.output(), x.format
    centred = np.arange(f.int_min, f.int_max + 1).astype(np.float32)
    real = function((np.float32(x.tensor.scale) * centred).astype(np.float64)).astype(np.float32)
    with np.errstate(over="ignore"):
        steps = round_away(real * (np.float32(1) / np.float32(output.scale)))
    low, high = output.centred
    values = np.clip(steps.astype(np.float64), low, high).astype(np.int64)
    table = ValueTable.of(name, lambda code: int(values[code - f.int_min]), f, whole(low, high), step.name)
    return table


def logistic(x: Any) -> Any:
    """1 / (1 + exp(-x)) as 32-bit floats compute it, with a correctly rounded exp."""
    with np.errstate(over="ignore"):
        exp = np.exp(-x).astype(np.float32)
        return np.float32(1) / (np.float32(1) + exp)


CURVES = {"LOGISTIC": curve("logistic", logistic), "TANH": curve("tanh", np.tanh)}
RECTIFIERS = {
    "RELU": rectified(RELU),
    "RELU6": rectified(RELU6),
    "RELU_N1_TO_1": rectified(RELU_N1_TO_1),
    "RELU_0_TO_1": rectified(RELU_0_TO_1),
}
