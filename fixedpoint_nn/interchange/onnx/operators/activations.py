# SPDX-License-Identifier: MIT
"""Activations."""

from __future__ import annotations

from dataclasses import replace
from math import frexp, isfinite, prod
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.builder import beside, tensor
from fixedpoint_nn.interchange.onnx.masks import mask_of
from fixedpoint_nn.interchange.onnx.step import OnnxStep, axis_of, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array


@operator("Relu", "ReLU")
def relu(step: OnnxStep) -> OnnxValue:
    """Convert Relu."""
    return step.unary(layers.ReLU(), step.value(0))


@operator("Sigmoid", "Sigmoid")
def sigmoid(step: OnnxStep) -> OnnxValue:
    """Convert Sigmoid."""
    return step.unary(layers.Sigmoid(), step.value(0))


@operator("Tanh", "Tanh")
def tanh(step: OnnxStep) -> OnnxValue:
    """Convert Tanh."""
    return step.unary(layers.Tanh(), step.value(0))


@operator("LeakyRelu", "LeakyReLU where alpha is a power of two, else PReLU")
def leaky_relu(step: OnnxStep) -> OnnxValue:
    """Convert LeakyRelu, with any slope."""
    return step.unary(leaky(float(step.attribute("alpha", 0.01))), step.value(0))


def leaky(slope: float) -> Any:
    """The layer of a leaky ReLU; a power of two as the slope needs no multiplication."""
    mantissa, exponent = frexp(slope)
    if mantissa == 0.5 and exponent <= 0:
        return layers.LeakyReLU(1 - exponent)
    return layers.PReLU(scalar(slope))


@operator("PRelu", "PReLU", "slopes that are computed")
def prelu(step: OnnxStep) -> OnnxValue:
    """Convert PRelu, with a slope for each channel."""
    x = step.value(0)
    slope = beside(step.constant(1, "slopes"), x)
    return step.unary(leaky(float(slope)) if slope.ndim == 0 else layers.PReLU(tensor(slope)), x)


@operator("Elu", "Elu")
def elu(step: OnnxStep) -> OnnxValue:
    """Convert Elu."""
    return step.unary(layers.Elu(scalar(step.attribute("alpha", 1.0))), step.value(0))


@operator("Clip", "ReLU, Clip", "limits that are computed")
def clip(step: OnnxStep) -> OnnxValue:
    """Convert Clip, by attributes or by inputs."""
    if step.opset < 11:
        low, high = step.attribute("min"), step.attribute("max")
    else:
        limits = [step.optional(1, "lower limit"), step.optional(2, "upper limit")]
        low, high = (None if limit is None or not limit.size else limit.item() for limit in limits)
    return clipped(step, step.value(0, kind=""), low, high)


def clipped(step: OnnxStep, x: OnnxValue, low: float | None, high: float | None) -> OnnxValue:
    """min(max(x, low), high); infinite limits do not apply."""
    largest = float(np.finfo(np.float32).max)
    low = None if low is None or low <= -largest else low
    high = None if high is None or high >= largest else high
    if any(limit is not None and not isfinite(limit) for limit in (low, high)):
        raise Refused(f"it clips to [{low}, {high}]")
    if low == 0:
        x, low = step.unary(layers.ReLU(), x), None
    if low is None and high is None:
        return x
    limits = [None if limit is None else scalar(limit) for limit in (low, high)]
    return step.unary(layers.Clip(limits[0], limits[1]), x)


@operator("HardSigmoid", "ScaleShift, ReLU, Clip")
def hard_sigmoid(step: OnnxStep) -> OnnxValue:
    """Convert HardSigmoid, as a clip."""
    return _hard_sigmoid(step, step.value(0), step.attribute("alpha", 0.2), step.attribute("beta", 0.5))


def _hard_sigmoid(step: OnnxStep, x: OnnxValue, alpha: float, beta: float) -> OnnxValue:
    line = step.unary(layers.ScaleShift(scalar(alpha), scalar(beta)), x)
    return clipped(step, line, 0, 1)


@operator("HardSwish", "ScaleShift, ReLU, Clip, Multiply")
def hard_swish(step: OnnxStep) -> OnnxValue:
    """Convert HardSwish, as a product with a hard sigmoid."""
    x = step.value(0)
    gate = _hard_sigmoid(step, x, 1 / 6, 0.5)
    return step.made(layers.Multiply(), [x, gate], x.dims, x.axes)


@operator("Softmax", "Softmax", "along the batch axis")
def softmax(step: OnnxStep) -> OnnxValue:
    """Convert Softmax, along any axis."""
    x = step.value(0, kind="")
    kept = mask_of(x)
    x = step.value(0) if kept is None else replace(x, kind="float")
    rank = len(x.dims)
    axis = axis_of(step.attribute("axis", -1 if step.opset >= 13 else 1), rank)
    if step.opset >= 13 or axis == rank - 1:
        x = step.builder.last(x, axis)
        return step.unary(layers.Softmax(), x) if kept is None else _masked_softmax(step, x, kept, axis)
    if kept is not None:
        raise Refused("it masks elements of several axes that are normalised together")
    rows = step.builder.reshaped(x, (*x.dims[:axis], prod(x.dims[axis:])), f"{step.name}_rows")
    rows = step.builder.last(rows, axis)
    result = step.unary(layers.Softmax(), rows)
    return step.builder.reshaped(replace(result, flat=None), x.dims, step.name)


def _masked_softmax(step: OnnxStep, x: OnnxValue, kept: Array, axis: int) -> OnnxValue:
    """A softmax of what is kept; the shares of a row of which nothing is kept are 0."""
    along = tuple(n if a == axis else 1 for a, n in enumerate(x.dims))
    kept = np.broadcast_to(kept, np.broadcast_shapes(kept.shape, along))
    any_kept = np.asarray(kept.any(axis=axis - len(x.dims), keepdims=True))
    shares = step.unary(layers.Softmax(mask=tensor(beside((kept | ~any_kept).astype(np.float32), x))), x)
    if any_kept.all():
        return shares
    rows = step.builder.add(
        f"{step.name}_rows", layers.Constant(tensor(beside(any_kept.astype(np.float32), x)))
    )
    return step.made(layers.Multiply(), [shares, rows], x.dims, x.axes)


def scalar(number: float) -> Tensor:
    """A number as a parameter."""
    made: Tensor = tensor(np.array(number, np.float32))
    return made
