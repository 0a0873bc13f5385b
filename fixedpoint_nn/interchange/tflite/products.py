# SPDX-License-Identifier: MIT
"""Convolutions and fully connected layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant
from fixedpoint_nn.interchange.affine.multiplier import proven_multiplier
from fixedpoint_nn.interchange.affine.rescale import Rescale
from fixedpoint_nn.interchange.affine.rescaling import rescaled_once, rescaled_short, rescaled_twice
from fixedpoint_nn.interchange.affine.sums import MOST_WEIGHT_BITS, bits_of, folds, sums_of
from fixedpoint_nn.interchange.tflite.geometry import (
    MOST_COPIES,
    MOST_PRODUCTS,
    check_work,
    padding_of,
    transposed_padding_of,
)
from fixedpoint_nn.interchange.tflite.model import TfliteTensor
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep, TfliteValue
from fixedpoint_nn.layers.convolution import Conv2D, ConvTranspose2D
from fixedpoint_nn.layers.dense import Dense
from fixedpoint_nn.layers.structure import Reshape, Sequential
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.quantizer import Quantizer

MOST_WEIGHTS = 1 << 25
MOST_SPREAD = 1 << 24  # values of an image with zeros between its pixels
INT32 = 2  # of the schema's types


def conv_2d(step: TfliteStep) -> Made:
    """Convert CONV_2D, with groups if the filter has fewer channels than the image."""
    x, weight = step.value(0), step.constant(1)
    if len(x.shape) != 3 or len(weight.shape) != 4:
        raise Unsuited(f"convolves a value of shape {x.tensor.shape} with weights of shape {weight.shape}")
    outputs, height, width, inputs = weight.shape
    channels = x.shape[-1]
    if inputs == 0 or channels % inputs or outputs % (channels // max(inputs, 1)):
        raise Unsuited(f"has {channels} channels, and weights of shape {weight.shape}")
    groups = channels // inputs
    rows = weights_of(weight).reshape(groups, outputs // groups, height, width, inputs)
    return _convolution(step, x, weight, rows, outputs)


def depthwise_conv_2d(step: TfliteStep) -> Made:
    """Convert DEPTHWISE_CONV_2D: each input channel has `DepthMultiplier` filters."""
    x, weight = step.value(0), step.constant(1)
    if len(x.shape) != 3 or len(weight.shape) != 4 or weight.shape[0] != 1:
        raise Unsuited(f"convolves a value of shape {x.tensor.shape} with weights of shape {weight.shape}")
    _, height, width, outputs = weight.shape
    channels = x.shape[-1]
    if channels == 0 or outputs == 0 or outputs % channels:
        raise Unsuited(f"has {channels} channels, and weights of shape {weight.shape}")
    rows = weights_of(weight).reshape(height, width, channels, outputs // channels).transpose(2, 3, 0, 1)
    return _convolution(step, x, weight, rows[..., np.newaxis], outputs)


def transpose_conv(step: TfliteStep) -> Made:
    """Convert TRANSPOSE_CONV: a convolution over the image with zeros between its pixels, the taps in reverse order."""
    x, weight = step.value(2), step.constant(1)
    if len(x.shape) != 3 or len(weight.shape) != 4 or weight.shape[-1] != x.shape[-1]:
        raise Unsuited(f"convolves a value of shape {x.tensor.shape} with weights of shape {weight.shape}")
    outputs, height, width, channels = weight.shape
    size = step.output().shape[1:3]
    spread = prod(n * step.options[f"Stride{axis}"] for n, axis in zip(x.shape, "HW", strict=False))
    if len(size) != 2 or spread * channels > MOST_SPREAD:
        raise Unsuited(f"makes {step.output().shape} of a value of shape {x.tensor.shape}, which is too much")
    stride, padding = transposed_padding_of(step.options, x.shape[:2], (height, width), size)
    rows = weights_of(weight)[np.newaxis, :, ::-1, ::-1]
    sums = _sums(step, x, weight, rows, 3)
    check_work(step, (*size, outputs), rows[0, 0].size)
    layer = ConvTranspose2D(sums.weight, sums.bias, (height, width), stride, padding, out=sums.out)
    return Made(Sequential(sum=layer, rescale=sums.rescale), (x,), step.activation_range())


def _convolution(step: TfliteStep, x: TfliteValue, weight: TfliteTensor, rows: Ints, outputs: int) -> Made:
    """The convolution with weights `rows` (groups, outputs per group, height, width, inputs per group)."""
    dilation = step.options["DilationHFactor"], step.options["DilationWFactor"]
    rows = dilated(rows, dilation)
    groups, kernel = rows.shape[0], (rows.shape[2], rows.shape[3])
    stride, padding, size = padding_of(step.options, x.shape[:2], kernel)
    check_work(step, (*size, outputs), rows[0, 0].size, MOST_PRODUCTS if groups == 1 else MOST_COPIES)
    sums = _sums(step, x, weight, rows, 2)
    layer = Conv2D(sums.weight, sums.bias, kernel, stride, padding, groups, out=sums.out)
    return Made(Sequential(sum=layer, rescale=sums.rescale), (x,), step.activation_range())


@dataclass(frozen=True)
class KernelSums:
    """The parts of a convolution: its weights and bias, the format of its sums, and their rescaling."""

    weight: FixedArray
    bias: FixedArray | None
    out: Quantizer | None
    rescale: Rescale


def _sums(step: TfliteStep, x: TfliteValue, weight: TfliteTensor, rows: Ints, bias_place: int) -> KernelSums:
    """The sums of x with weights `rows` (groups, outputs per group, height, width, inputs per group)."""
    output = step.output()
    step.same_type(x.tensor, output)
    groups, outputs = rows.shape[0], rows.shape[0] * rows.shape[1]
    taps = rows.reshape(groups, rows.shape[1], -1)
    flat = taps.reshape(outputs, -1)
    bias, wide = _bias(step, outputs, output.dtype, bias_place)
    sums = sums_of(flat, bias, *x.range)
    reals = _reals(x.tensor, weight, output, outputs, 3 if step.operator.kind.startswith("DEPTH") else 0)
    rescale = _rescale(step, reals, sums, wide, bits_of(flat))
    return KernelSums(
        fixed_constant(taps[0].T if groups == 1 else taps.transpose(0, 2, 1)),
        None if bias is None else fixed_constant(bias),
        None if folds(rescale, flat, x.format) else exact(*sums, f"{step.name}.sum"),
        rescale,
    )


def _rescale(step: TfliteStep, reals: Any, sums: tuple[int, int], wide: bool, weight_bits: int) -> Rescale:
    """The rescaling of the sums: 32-bit sums are rounded twice, 64-bit sums once."""
    _fits(sums, 47 if wide else 31)
    codes = step.activation_range()
    if wide:
        return rescaled_short(reals, sums, codes, step.name)
    return rescaled_twice(reals, sums, codes, step.name, MOST_WEIGHT_BITS - weight_bits)


def fully_connected(step: TfliteStep) -> Made:
    """Convert FULLY_CONNECTED: one rounding, because the reference kernel multiplies by the real scale in double."""
    x, weight, output = step.value(0), step.constant(1), step.output()
    dtype = step.same_type(x.tensor, output)
    if step.options["WeightsFormat"]:
        raise Unsuited("has shuffled weights")
    if len(weight.shape) != 2 or 0 in weight.shape:
        raise Unsuited(f"has weights of shape {weight.shape}, and (outputs, inputs) are supported")
    outputs, inputs = weight.shape
    size = int(np.prod(x.shape))
    if size % inputs or not x.shape:
        raise Unsuited(f"takes a value of shape {x.tensor.shape}, and weights of shape {weight.shape}")
    rows = weights_of(weight)
    check_work(step, (size // inputs, outputs), inputs)
    bias, wide = _bias(step, outputs, dtype)
    sums = sums_of(rows, bias, *x.range)
    _fits(sums, 47 if wide else 31)
    reals = _reals(x.tensor, weight, output, outputs, 0)
    codes = step.activation_range()
    if max(-sums[0], sums[1]) * float(reals.max()) >= 1 << 30:
        raise Unsuited(
            f"multiplies sums of up to {max(-sums[0], sums[1])} by {reals.max():.4g}, and 32 bits overflow"
        )
    proven = proven_multiplier(np.unique(reals), sums, codes)
    order = np.searchsorted(np.unique(reals), reals)
    proven = replace(
        proven,
        multipliers=tuple(proven.multipliers[i] for i in order),
        shifts=tuple(proven.shifts[i] for i in order),
    )
    rescale = rescaled_once(proven, sums, codes, step.name)
    dense = Dense(
        fixed_constant(rows.T),
        None if bias is None else fixed_constant(bias),
        out=None if folds(rescale, rows, x.format) else exact(*sums, f"{step.name}.sum"),
    )
    count = size // inputs
    before = (inputs,) if count == 1 else x.shape if x.shape[-1] == inputs else (count, inputs)
    parts: dict[str, Any] = {} if before == x.shape else {"flat": Reshape(before)}
    parts |= {"sum": dense, "rescale": rescale}
    if (*before[:-1], outputs) != output.shape[1:]:
        parts["shaped"] = Reshape(output.shape[1:])
    return Made(Sequential(parts=parts), (x,), codes)


def dilated(rows: Ints, dilation: tuple[int, int]) -> Ints:
    """Weights (..., height, width, inputs) with zeros inserted for a dilation."""
    if dilation == (1, 1):
        return rows
    if min(dilation) < 1:
        raise Unsuited(f"has the dilation {dilation}")
    *before, height, width, inputs = rows.shape
    size = (height - 1) * dilation[0] + 1, (width - 1) * dilation[1] + 1
    if size[0] * size[1] * (rows.size // (height * width)) > MOST_WEIGHTS:
        raise Unsuited(f"has the dilation {dilation}, and more than {MOST_WEIGHTS} weights with it")
    wide = np.zeros((*before, *size, inputs), rows.dtype)
    wide[..., :: dilation[0], :: dilation[1], :] = rows
    return wide


def weights_of(weight: TfliteTensor) -> Ints:
    """The weights minus their zero points."""
    assert weight.data is not None
    if weight.dtype not in ("int8", "uint8"):
        raise Unsuited(f"has weights of {weight.dtype}, and 8 bits are supported")
    if len(set(weight.zeros)) > 1 or (len(weight.scales) > 1 and any(weight.zeros)):
        raise Unsuited(
            f"has weights with the zero points {sorted(set(weight.zeros))[:4]}, and 0 is supported"
        )
    if weight.data.size == 0:
        raise Unsuited(f"has weights of shape {weight.shape}")
    if not weight.codes[0] <= weight.zero <= weight.codes[1]:
        raise Unsuited(f"has weights with the zero point {weight.zero}")
    return weight.data.astype(np.int64) - weight.zero


def _bias(step: TfliteStep, outputs: int, dtype: str, place: int = 2) -> tuple[Ints | None, bool]:
    """(bias, whether sums have 64 bits), as they have for 16-bit activations unless an option disables it."""
    wide = dtype == "int16" and step.options.get("QuantizedBiasType", 0) != INT32
    if not step.has(place):
        return None, wide
    bias = step.constant(place)
    expected = "int64" if wide else "int32"
    if bias.dtype != expected or bias.shape != (outputs,):
        raise Unsuited(
            f"has a bias of {bias.dtype} and shape {bias.shape}, and {expected} of shape {(outputs,)} is needed"
        )
    assert bias.data is not None
    ints = bias.data.astype(np.int64)
    if max(-int(ints.min()), int(ints.max())) >> 47:
        raise Unsuited(f"has a bias of {ints[np.abs(ints).argmax()]}")
    return ints, wide


def _fits(sums: tuple[int, int], bits: int) -> None:
    if max(-sums[0], sums[1]) >> bits:
        raise Unsuited(f"has sums of up to {max(-sums[0], sums[1])}, and TFLite's have {bits + 1} bits")


def _reals(x: TfliteTensor, weight: TfliteTensor, output: TfliteTensor, outputs: int, axis: int) -> Any:
    """For each output channel the ratio of its sums' scale to the output's, in double as in TFLite."""
    if len(weight.scales) not in (1, outputs) or min(weight.scales, default=0) <= 0:
        raise Unsuited(
            f"has weights with {len(weight.scales)} scales, and 1 or {outputs} positive ones are needed"
        )
    if len(weight.scales) > 1 and weight.axis != axis:
        raise Unsuited(
            f"has a scale for each place of its weights' axis {weight.axis}, and {axis} is supported"
        )
    scales = np.broadcast_to(np.asarray(weight.scales, np.float64), (outputs,))
    return np.float64(x.scale) * scales / np.float64(output.scale)
