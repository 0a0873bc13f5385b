# SPDX-License-Identifier: MIT
"""Pooling over windows or whole images."""

from __future__ import annotations

from math import prod

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.builder import tensor
from fixedpoint_nn.interchange.onnx.operators.activations import scalar
from fixedpoint_nn.interchange.onnx.operators.geometry import as_image, over_images, paddings, pair, spatial
from fixedpoint_nn.interchange.onnx.step import OnnxStep, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue


@operator("MaxPool", "MaxPool2D", "3-D; the indices of the largest")
def max_pool(step: OnnxStep) -> OnnxValue:
    """Convert MaxPool."""
    step.attribute("storage_order")  # affects only the indices
    x = as_image(step, step.value(0, kind=""))
    axes = spatial(step, x.dims[2:], None, bool(step.attribute("ceil_mode", 0)))
    layer = layers.MaxPool2D(
        pair([axis.kernel for axis in axes]),
        pair([axis.stride for axis in axes]),
        paddings([axis.edges for axis in axes]),
        pair([axis.dilation for axis in axes]),
    )
    return over_images(step, x, layer, x.dims[1], [axis.count for axis in axes])


@operator("AveragePool", "AvgPool2D", "3-D")
def average_pool(step: OnnxStep) -> OnnxValue:
    """Convert AveragePool, with ceil_mode and count_include_pad."""
    x = as_image(step, step.value(0))
    axes = spatial(step, x.dims[2:], None, bool(step.attribute("ceil_mode", 0)))
    with_padding = bool(step.attribute("count_include_pad", 0))
    counts = [axis.inside(with_padding) for axis in axes]
    taps = np.multiply.outer(*counts) if len(counts) == 2 else counts[0][np.newaxis]
    reciprocals = 1 / np.maximum(taps, 1)[..., np.newaxis]
    if (taps == taps.flat[0]).all():
        reciprocals = reciprocals.reshape(-1)[0]
    layer = layers.AvgPool2D(
        tensor(np.float32(reciprocals)),
        pair([axis.kernel for axis in axes]),
        pair([axis.stride for axis in axes]),
        paddings([axis.edges for axis in axes]),
        dilation=pair([axis.dilation for axis in axes]),
    )
    return over_images(step, x, layer, x.dims[1], [axis.count for axis in axes])


@operator("GlobalAveragePool", "GlobalAvgPool, or Mean")
def global_average_pool(step: OnnxStep) -> OnnxValue:
    """Convert GlobalAveragePool."""
    x = as_image(step, step.value(0))
    dims = (*x.dims[:2], *(1 for _ in x.dims[2:]))
    share = scalar(1 / prod(x.dims[2:]))
    if len(dims) == 4:
        made = step.builder.add(step.name, layers.GlobalAvgPool(share), x.node)
        again = step.builder.add(f"{step.name}_image", layers.Reshape((1, 1, x.dims[1])), made)
        return OnnxValue(again, dims, x.axes)
    return step.made(layers.Mean(share, tuple(range(1, len(dims) - 1))), [x], dims, x.axes)


@operator("GlobalMaxPool", "GlobalMaxPool")
def global_max_pool(step: OnnxStep) -> OnnxValue:
    """Convert GlobalMaxPool."""
    x = as_image(step, step.value(0))
    made = step.builder.add(step.name, layers.GlobalMaxPool(), x.node)
    sizes = tuple(1 for _ in x.dims[2:])
    again = step.builder.add(f"{step.name}_image", layers.Reshape((*sizes, x.dims[1])), made)
    return OnnxValue(again, (*x.dims[:2], *sizes), x.axes)
