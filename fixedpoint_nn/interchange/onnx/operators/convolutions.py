# SPDX-License-Identifier: MIT
"""Convolutions and transposed convolutions."""

from __future__ import annotations

from math import prod
from typing import Any

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.builder import tensor
from fixedpoint_nn.interchange.onnx.operators.geometry import (
    LARGEST,
    Spatial,
    as_image,
    over_images,
    paddings,
    pair,
    spatial,
)
from fixedpoint_nn.interchange.onnx.step import OnnxStep, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array


@operator("Conv", "Conv2D; a sequence is an image of one row", "3-D; weights that are computed")
def conv(step: OnnxStep) -> OnnxValue:
    """Convert Conv, 1-D and 2-D, with groups, dilations and any padding."""
    x, weight, bias, groups = _operands(step)
    outputs, inputs = weight.shape[:2]
    if inputs * groups != x.dims[1] or outputs % groups:
        raise Refused(
            f"weights of shape {list(weight.shape)} do not fit {x.dims[1]} channels in {groups} groups"
        )
    axes = spatial(step, x.dims[2:], weight.shape[2:])
    by_group = weight.reshape(groups, outputs // groups, inputs, *pair(list(weight.shape[2:])))
    layer = layers.Conv2D(
        _matrix(by_group, (0, 3, 4, 2, 1)),
        _bias(bias, outputs),
        pair([axis.kernel for axis in axes]),
        pair([axis.stride for axis in axes]),
        paddings([axis.edges for axis in axes]),
        groups,
        dilation=pair([axis.dilation for axis in axes]),
    )
    return over_images(step, x, layer, outputs, [axis.count for axis in axes])


@operator("ConvTranspose", "ConvTranspose2D", "3-D; weights that are computed")
def conv_transpose(step: OnnxStep) -> OnnxValue:
    """Convert ConvTranspose."""
    x, weight, bias, groups = _operands(step)
    inputs, per_group = weight.shape[:2]
    if inputs != x.dims[1] or inputs % groups:
        raise Refused(
            f"weights of shape {list(weight.shape)} do not fit {x.dims[1]} channels in {groups} groups"
        )
    axes, edges = _edges(step, x.dims[2:], weight.shape[2:])
    kernel = pair(list(weight.shape[2:]))
    by_group = weight.reshape(groups, inputs // groups, per_group, *kernel)[..., ::-1, ::-1]
    layer = layers.ConvTranspose2D(
        _matrix(by_group, (0, 3, 4, 1, 2)),
        _bias(bias, per_group * groups),
        kernel,
        pair([axis.stride for axis in axes]),
        paddings(edges),
        groups,
        dilation=pair([axis.dilation for axis in axes]),
    )
    sizes = [
        (axis.size - 1) * axis.stride + 1 + sum(edge) - axis.reach + 1
        for axis, edge in zip(axes, edges, strict=True)
    ]
    if min(sizes) < 1:
        raise Refused(f"its result has the sizes {sizes}")
    return over_images(step, x, layer, per_group * groups, sizes)


def _edges(
    step: OnnxStep, sizes: tuple[int, ...], kernel: tuple[int, ...]
) -> tuple[list[Spatial], list[tuple[int, int]]]:
    """(spatial axes, padding of the upsampled image), from the padding of the transposed convolution."""
    count = len(sizes)
    more = step.attribute("output_padding", [0] * count)
    shape, automatic = step.attribute("output_shape"), step.attribute("auto_pad", "NOTSET")
    if len(more) != count or min(more) < 0 or max(more) > LARGEST:
        raise Refused(f"its output_padding is {list(more)}")
    if shape is not None:
        shape = list(shape)[-count:]
        if len(shape) != count or min(shape) < 1 or max(shape) > LARGEST:
            raise Refused(f"its output_shape is {shape}")
    axes = spatial(step, tuple(1 << 30 for _ in sizes), kernel)  # the number of windows does not matter here
    found, edges = [], []
    for i, axis in enumerate(axes):
        axis = Spatial(sizes[i], axis.kernel, axis.stride, axis.dilation, axis.before, axis.after)
        full = axis.stride * (axis.size - 1) + more[i] + axis.reach
        wanted = shape[i] if shape is not None else axis.size * axis.stride
        before, after = axis.before, axis.after
        if shape is not None or automatic in ("SAME_UPPER", "SAME_LOWER"):
            total = full - wanted
            before = total // 2 if automatic == "SAME_UPPER" else total - total // 2
            after = total - before
        elif automatic == "VALID":
            before = after = 0
        found.append(axis)
        edges.append((axis.reach - 1 - before, axis.reach - 1 - after + more[i]))
    return found, edges


def _operands(step: OnnxStep) -> tuple[OnnxValue, Array, Array | None, int]:
    x, weight = step.value(0), step.constant(1, "weights")
    groups = int(step.attribute("group", 1))
    if weight.ndim != len(x.dims) or not 1 <= groups <= weight.shape[0]:
        raise Refused(
            f"weights of shape {list(weight.shape)} in {groups} groups do not fit an input {list(x.dims)}"
        )
    if len(x.dims) > 4:
        raise Refused(f"it has {len(x.dims) - 2} spatial axes, and 1 or 2 are supported")
    return as_image(step, x), weight, step.optional(2, "biases"), groups


def _matrix(by_group: Array, order: tuple[int, ...]) -> Any:
    """Weights as (groups, taps * inputs, outputs), without the first axis for one group."""
    turned = by_group.transpose(order)
    groups, outputs = turned.shape[0], turned.shape[-1]
    matrix = turned.reshape(groups, prod(turned.shape[1:-1]), outputs)
    return tensor(matrix[0] if groups == 1 else matrix)


def _bias(bias: Array | None, channels: int) -> Any:
    if bias is not None and bias.shape != (channels,):
        raise Refused(f"its biases have the shape {list(bias.shape)}, and there are {channels} channels")
    return None if bias is None else tensor(bias)
