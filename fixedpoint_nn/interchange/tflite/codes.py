# SPDX-License-Identifier: MIT
"""Unary operators: a table over 8-bit codes, or a rescaling of 16-bit codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant, integer_format
from fixedpoint_nn.interchange.affine.gemmlowp import SHORT
from fixedpoint_nn.interchange.affine.joining import RescaledProduct
from fixedpoint_nn.interchange.affine.multiplier import (
    multiplied,
    quantized_multiplier,
    rounding_shift,
)
from fixedpoint_nn.interchange.affine.rescale import Lookup, TwoSlopes
from fixedpoint_nn.interchange.affine.rescaling import rescaled_twice
from fixedpoint_nn.interchange.tflite.step import (
    RELU,
    RELU6,
    RELU_N1_TO_1,
    Made,
    TfliteStep,
    TfliteValue,
    activation_range,
    spreads,
)
from fixedpoint_nn.layers.activation import Abs
from fixedpoint_nn.layers.structure import Sequential
from fixedpoint_nn.numerics.value_table import ValueTable

RELU_0_TO_1 = -1


def rectified(activation: int) -> Callable[[TfliteStep], Made]:
    """The converter of RELU, RELU6, RELU_N1_TO_1 or RELU_0_TO_1: a rescaling, clamped to the activation's range."""

    def convert(step: TfliteStep) -> Made:
        x, output = step.value(0), step.output()
        step.same_type(x.tensor, output)
        if activation == RELU_0_TO_1:
            ends = activation_range(output, RELU_N1_TO_1)
            codes = max(output.centred[0], 0), ends[1]
        else:
            codes = activation_range(output, activation)
        return _rescaled(step, x, float(np.float32(x.tensor.scale) / np.float32(output.scale)), codes)

    return convert


def requantize(step: TfliteStep) -> Made:
    """Convert QUANTIZE of integers: to another scale, zero point or width."""
    x, output = step.value(0), step.output()
    return _rescaled(step, x, x.tensor.scale / output.scale, output.centred)


def _rescaled(step: TfliteStep, x: TfliteValue, real: float, codes: tuple[int, int]) -> Made:
    """x * real, rounded as TFLite does: by a table of 8-bit codes, or by the multiplier for 16 bits."""
    if x.tensor.dtype == "int16":
        return Made(rescaled_twice(real, x.range, codes, step.name), (x,), codes)
    m, shift = quantized_multiplier(real)
    low, high = codes
    if max(-x.low, x.high) << max(shift, 0) >= 1 << 31:
        raise Unsuited(f"multiplies by {real:.4g}, and 32 bits overflow")
    table = ValueTable.of(
        "rescale",
        lambda code: min(max(multiplied(code, m, shift), low), high),
        x.format,
        integer_format(*codes),
        step.name,
    )
    return Made(Lookup(table), (x,), codes)


def leaky_relu(step: TfliteStep) -> Made:
    """Convert LEAKY_RELU: one multiplier for each sign."""
    x, output = step.value(0), step.output()
    dtype = step.same_type(x.tensor, output)
    scale, out = np.float32(x.tensor.scale), np.float32(output.scale)
    rise, lean = float(scale / out), float(scale * np.float32(step.options["Alpha"]) / out)
    if lean < 0 or x.format.int_max * max(rise, lean) >= 1 << 30:
        raise Unsuited(f"multiplies by {lean:.4g} below zero and {rise:.4g} above, which is not supported")
    codes = output.centred
    if dtype == "int16":
        above, below = (rescaled_twice(real, x.range, codes, f"{step.name}.slope") for real in (rise, lean))
        return Made(TwoSlopes(above, below, exact(*codes, step.name)), (x,), codes)
    pair = quantized_multiplier(rise), quantized_multiplier(lean)
    return tabulated(step, x, lambda code: multiplied(code, *pair[code < 0]))


def prelu(step: TfliteStep) -> Made:
    """Convert PRELU: one multiplier above zero, and below zero one for the product with the constant slope."""
    x, output, slopes = step.value(0), step.output(), step.constant(1)
    eight_bits(step, x)
    step.same_type(x.tensor, slopes)
    if len(slopes.scales) != 1 or slopes.data is None or not spreads(slopes.shape, x.tensor.shape):
        raise Unsuited(
            f"has slopes of shape {slopes.shape} with {len(slopes.scales)} scales for a value of shape {x.tensor.shape}"
        )
    scale, out = np.float32(x.tensor.scale), np.float32(output.scale)
    rise, lean = float(scale / out), float(scale * np.float32(slopes.scale) / out)
    fixed = slopes.data.astype(np.int64) - slopes.zero
    ends = [min(x.low, 0) * int(end) for end in (fixed.min(), fixed.max())]
    products = min(*ends, 0), max(*ends, 0)
    codes = output.centred
    above = rescaled_twice(rise, (0, max(x.high, 0)), codes, f"{step.name}.rise")
    below = RescaledProduct(
        rescaled_twice(lean, products, codes, f"{step.name}.lean"),
        exact(*products, f"{step.name}.product"),
        fixed_constant(fixed),
    )
    return Made(TwoSlopes(above, below, exact(*codes, step.name)), (x,), codes)


def absolute(step: TfliteStep) -> Made:
    """Convert ABS, of another scale too."""
    x, output = step.value(0), step.output()
    dtype = step.same_type(x.tensor, output)
    if dtype == "uint8":
        raise Unsuited("has values without a sign, and TFLite's kernel takes none")
    real, codes = float(np.float32(x.tensor.scale) / np.float32(output.scale)), output.centred
    if dtype == "int16":
        most = max(-x.low, x.high)
        size = Abs(exact(0, most, f"{step.name}.size"))
        return Made(Sequential(size, rescaled_twice(real, (0, most), codes, step.name)), (x,), codes)
    pair = quantized_multiplier(real)
    return tabulated(step, x, lambda code: multiplied(abs(code), *pair))


def hard_swish(step: TfliteStep) -> Made:
    """Convert HARD_SWISH: x * relu6(x + 3) / 6 in 16-bit integers."""
    x, output = step.value(0), step.output()
    eight_bits(step, x)
    fine = np.float32(1 / 128) * np.float32(x.tensor.scale)
    out, up = _short(float(fine / np.float32(output.scale)))
    reluish, power = _short(float(fine / (np.float32(3) / np.float32(32768))))
    if up > 0:
        raise Unsuited(
            f"has an output scale of {output.scale}, too small for its input scale {x.tensor.scale}"
        )

    def function(code: int) -> int:
        value = SHORT.fit(code << 7)
        straight = SHORT.product(value, out)
        share = SHORT.fit(value << (power - 1)) if power > 0 else value
        share = SHORT.product(share, reluish)
        if power > 0:
            share = SHORT.fit(share << 1)
        share = rounding_shift(int(share), max(-power, 0))
        product = ((share + (1 << 15)) >> 1) * int(straight)
        return rounding_shift(abs(product) >> 15 if product >= 0 else -(abs(product) >> 15), -up)

    return tabulated(step, x, function)


def _short(real: float) -> tuple[int, int]:
    """(15-bit multiplier, shift) of a real number."""
    m, shift = quantized_multiplier(real)
    return (min((m + (1 << 15)) >> 16, (1 << 15) - 1), shift)


def eight_bits(step: TfliteStep, x: TfliteValue, types: tuple[str, ...] = ("int8", "uint8")) -> None:
    """Raise Unsuited unless operand and result are of one of these types, which TFLite's kernel takes."""
    dtype = step.same_type(x.tensor, step.output())
    if dtype not in types:
        raise Unsuited(f"has values of {dtype}, and {' and '.join(types)} are supported")


def tabulated(step: TfliteStep, x: TfliteValue, function: Callable[[int], int]) -> Made:
    """The table of a function of centred codes, saturated."""
    low, high = codes = step.output().centred
    table = ValueTable.of(
        step.operator.kind.lower(),
        lambda code: min(max(function(code), low), high),
        x.format,
        integer_format(*codes),
        step.name,
    )
    return Made(Lookup(table), (x,), codes)


def tabulated_steps(step: TfliteStep, x: TfliteValue, first: int, steps: Any) -> Made:
    """The table of results in whole steps of the output, as floats, for the centred codes from `first` on."""
    codes = first + np.arange(len(steps))
    most = np.abs(steps[(codes >= x.low) & (codes <= x.high)]).max()
    if not most < 1 << 30:
        raise Unsuited(f"has values of up to {most:.4g} steps of its output, and 32 bits overflow")
    values = np.clip(np.nan_to_num(steps.astype(np.float64)), *step.output().centred).astype(np.int64)
    return tabulated(step, x, lambda code: int(values[code - first]))


RECTIFIERS = {
    "RELU": rectified(RELU),
    "RELU6": rectified(RELU6),
    "RELU_N1_TO_1": rectified(RELU_N1_TO_1),
    "RELU_0_TO_1": rectified(RELU_0_TO_1),
}
