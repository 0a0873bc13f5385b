# SPDX-License-Identifier: MIT
"""Normalisations over each sample."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.builder import tensor
from fixedpoint_nn.interchange.onnx.operators.activations import scalar
from fixedpoint_nn.interchange.onnx.operators.curves import elementwise_product
from fixedpoint_nn.interchange.onnx.operators.products import relabelled, times_matrix
from fixedpoint_nn.interchange.onnx.step import OnnxStep, axis_of, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array

NOTHING = 1e-24  # avoids a division by the norm of zeros


@operator("LayerNormalization", "LayerNorm", "over the batch")
def layer_normalization(step: OnnxStep) -> list[OnnxValue]:
    """Convert LayerNormalization, over the last axes, and its mean and inverse deviation where they are asked for."""
    step.attribute("stash_type")
    x = step.value(0)
    axes = range(axis_of(int(step.attribute("axis", -1)), len(x.dims)), len(x.dims))
    gain, bias = _spread(step, 1, "scales", x, axes), _spread(step, 2, "biases", x, axes)
    eps = step.attribute("epsilon", 1e-5)
    results = [normalized(step, x, tuple(axes), eps, gain, bias)]
    return results + (_statistics(step, x, tuple(axes), eps) if any(step.operation.outputs[1:]) else [])


@operator("RMSNormalization", "RMSNorm", "over the batch")
def rms_normalization(step: OnnxStep) -> OnnxValue:
    """Convert RMSNormalization, over the last axes."""
    step.attribute("stash_type")
    x = step.value(0)
    axes = range(axis_of(int(step.attribute("axis", -1)), len(x.dims)), len(x.dims))
    gain = _spread(step, 1, "scales", x, axes)
    return normalized(step, x, tuple(axes), step.attribute("epsilon", 1e-5), gain, None, centred=False)


@operator("InstanceNormalization", "LayerNorm, ScaleShift")
def instance_normalization(step: OnnxStep) -> OnnxValue:
    """Convert InstanceNormalization: every channel of every sample by itself."""
    x = step.builder.with_batch(step.value(0), 0)
    return _by_channel(step, x, tuple(range(2, len(x.dims))))


@operator("GroupNormalization", "Reshape, LayerNorm, ScaleShift")
def group_normalization(step: OnnxStep) -> OnnxValue:
    """Convert GroupNormalization; before opset 21 its scales are those of groups."""
    step.attribute("stash_type")
    x, groups = step.builder.with_batch(step.value(0), 0), int(step.needed("num_groups"))
    if len(x.dims) < 2 or groups < 1 or x.dims[1] % groups:
        raise Refused(f"its input of shape {list(x.dims)} does not divide into {groups} groups")
    each = prod(x.dims[1:]) // groups
    apart = step.builder.reshaped(x, (x.dims[0], groups, each), f"{step.name}_groups")
    normal = normalized(step, apart, (2,), step.attribute("epsilon", 1e-5))
    whole = step.builder.reshaped(replace(normal, flat=None), x.dims, f"{step.name}_together")
    return _scaled(step, whole, x.dims[1] if step.opset >= 21 else groups)


@operator("LpNormalization", "RMSNorm", "the norm of absolute values; along the batch axis")
def lp_normalization(step: OnnxStep) -> OnnxValue:
    """Convert LpNormalization by the square root of the sum of squares."""
    step.must_be("p", 2)
    x = step.value(0)
    axis = axis_of(int(step.attribute("axis", -1)), len(x.dims))
    return normalized(step, x, (axis,), NOTHING, centred=False, mean=False)


@operator(
    "LRN", "Multiply, Dense, ReciprocalSqrt, Sqrt, Multiply", "powers that are no multiples of a quarter"
)
def local_response_normalization(step: OnnxStep) -> OnnxValue:
    """Convert LRN: x * (bias + alpha / size * the sum of the squares of `size` channels around it) ** -beta."""
    x, size, beta = step.value(0), int(step.needed("size")), float(step.attribute("beta", 0.75))
    quarters = round(4 * beta)
    if quarters != 4 * beta or not 1 <= quarters <= 8 or size < 1:
        raise Refused(f"its beta is {beta} and its size {size}")
    places = np.arange(x.dims[1])
    ahead = places[:, np.newaxis] - places  # from the sum's channel to the square's
    near = (ahead >= -((size - 1) // 2)) & (ahead <= size // 2)
    share = np.float32(step.attribute("alpha", 1e-4)) / np.float32(size)
    bias = np.full(x.dims[1], step.attribute("bias", 1.0), np.float32)
    last = (0, *range(2, len(x.dims)), 1)
    squares = relabelled(elementwise_product(step, x, x), last)
    sums = times_matrix(step, squares, share * near.astype(np.float32), bias)
    sums = relabelled(sums, tuple(last.index(a) for a in range(len(last))))
    whole, rest = divmod(quarters, 2)
    root = step.unary(layers.ReciprocalSqrt(), sums)
    factors = [root] * whole + ([step.unary(layers.Sqrt(), root)] if rest else [])
    made = elementwise_product(step, x, step.builder.arranged(factors[0], x.order))
    for factor in factors[1:]:
        made = elementwise_product(step, made, step.builder.arranged(factor, x.order))
    return made


@operator("MeanVarianceNormalization", "LayerNorm", "over the batch, as without attributes")
def mean_variance_normalization(step: OnnxStep) -> OnnxValue:
    """Convert MeanVarianceNormalization over axes of a sample."""
    x = step.value(0)
    axes = tuple(axis_of(int(a), len(x.dims)) for a in step.attribute("axes", (0, 2, 3)))
    return normalized(step, x, axes, 1e-18)


def _statistics(step: OnnxStep, x: OnnxValue, axes: tuple[int, ...], eps: float) -> list[OnnxValue]:
    """The mean over the axes, and 1 / sqrt(variance + eps)."""
    dims = tuple(1 if axis in axes else size for axis, size in enumerate(x.dims))
    layer = layers.Mean(scalar(1 / prod(x.dims[axis] for axis in axes)), tuple(sorted(map(x.place, axes))))
    mean = step.made(layer, [x], dims, x.axes)
    centred = step.made(layers.Subtract(), [x, mean], x.dims, x.axes)
    variance = step.made(layer, [elementwise_product(step, centred, centred)], dims, x.axes)
    line = step.unary(layers.ScaleShift(scalar(1.0), scalar(eps)), variance)
    return [mean, step.unary(layers.ReciprocalSqrt(), line)]


def normalized(
    step: OnnxStep,
    x: OnnxValue,
    axes: tuple[int, ...],
    eps: float,
    gain: Array | None = None,
    bias: Array | None = None,
    centred: bool = True,
    mean: bool = True,
) -> OnnxValue:
    """The value normalised over these axes of the file, which are moved to the end and joined.

    Gains and biases are in the order of these axes.
    """
    if x.batch in axes:
        if x.dims[x.batch] != 1:
            raise Refused("it normalises over the batch")
        x = step.builder.with_batch(x, None)
    axes = tuple(axis for axis in x.order if axis in axes) if gain is None and bias is None else axes
    order = (*(axis for axis in x.order if axis not in axes), *axes)
    x = step.builder.arranged(x, order)
    count = prod(x.dims[axis] for axis in axes)
    share, tiny = scalar(1 / count if mean else 1.0), scalar(eps)
    parameters = [None if p is None else tensor(p) for p in (gain, bias)]
    layer = (
        layers.LayerNorm(share, tiny, *parameters) if centred else layers.RMSNorm(share, tiny, parameters[0])
    )
    if len(axes) == 1:
        return step.unary(layer, x)
    outer = tuple(x.dims[axis] for axis in order if axis not in axes)
    joined = step.builder.add(f"{step.name}_joined", layers.Reshape((*outer, count)), x.node)
    made = step.builder.add(step.name, layer, joined)
    return replace(x, node=step.builder.add(f"{step.name}_apart", layers.Reshape(x.sample), made), flat=None)


def _spread(step: OnnxStep, index: int, what: str, x: OnnxValue, axes: range) -> Array | None:
    """Parameters for each element of the axes, flattened."""
    given = step.optional(index, what)
    if given is None:
        return None
    sizes = tuple(x.dims[axis] for axis in axes)
    try:
        return np.broadcast_to(given, sizes).reshape(-1)
    except ValueError:
        raise Refused(f"its {what} have the shape {list(given.shape)}, and not {list(sizes)}") from None


def _by_channel(step: OnnxStep, x: OnnxValue, axes: tuple[int, ...]) -> OnnxValue:
    return _scaled(step, normalized(step, x, axes, step.attribute("epsilon", 1e-5)), x.dims[1])


def _scaled(step: OnnxStep, x: OnnxValue, count: int) -> OnnxValue:
    """The value scaled and shifted per channel, or per group of channels."""
    scale, shift = step.constant(1, "scales"), step.constant(2, "biases")
    if scale.shape != (count,) or shift.shape != (count,):
        raise Refused(f"its scales and biases are not {count}")
    scale, shift = (np.repeat(p, x.dims[1] // count) for p in (scale, shift))
    if (scale == 1).all() and not shift.any():
        return x
    x = step.builder.channels_last(x)
    return step.unary(layers.ScaleShift(tensor(scale), tensor(shift)), x)
