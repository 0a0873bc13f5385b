# SPDX-License-Identifier: MIT
"""Element-wise functions that become tables in fixed point, alone or with sums and products."""

from __future__ import annotations

from dataclasses import replace
from math import pi, sqrt
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.operators.activations import scalar
from fixedpoint_nn.interchange.onnx.step import OnnxStep, axis_of, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused


@operator("Erf", "Erf")
def erf(step: OnnxStep) -> OnnxValue:
    """Convert Erf."""
    return step.unary(layers.Erf(), step.value(0))


@operator("Exp", "Exp")
def exp(step: OnnxStep) -> OnnxValue:
    """Convert Exp."""
    return step.unary(layers.Exp(), step.value(0))


@operator("Log", "Log", "constants of no elements")
def log(step: OnnxStep) -> OnnxValue:
    """Convert Log."""
    return step.unary(layers.Log(), step.value(0))


@operator("Sqrt", "Sqrt")
def square_root(step: OnnxStep) -> OnnxValue:
    """Convert Sqrt."""
    return step.unary(layers.Sqrt(), step.value(0))


@operator("Reciprocal", "Reciprocal")
def reciprocal(step: OnnxStep) -> OnnxValue:
    """Convert Reciprocal."""
    return step.unary(layers.Reciprocal(), step.value(0))


@operator("Abs", "Abs")
def absolute(step: OnnxStep) -> OnnxValue:
    """Convert Abs."""
    return step.unary(layers.Abs(), step.value(0))


@operator("Softplus", "Softplus")
def softplus(step: OnnxStep) -> OnnxValue:
    """Convert Softplus."""
    return step.unary(layers.Softplus(), step.value(0))


@operator("Gelu", "Gelu; Sigmoid and products for the approximation by tanh")
def gelu(step: OnnxStep) -> OnnxValue:
    """Convert Gelu; x * (1 + tanh(y)) / 2 is x * sigmoid(2 * y)."""
    x, approximate = step.value(0), step.attribute("approximate", "none")
    if approximate == "none":
        return step.unary(layers.Gelu(), x)
    if approximate != "tanh":
        raise Refused(f"its attribute approximate is {approximate!r}")
    factor = 2 * sqrt(2 / pi)
    square = elementwise_product(step, x, x)
    inner = step.unary(layers.ScaleShift(scalar(0.044715 * factor), scalar(factor)), square)
    return elementwise_product(step, x, step.unary(layers.Sigmoid(), elementwise_product(step, x, inner)))


@operator("Swish", "Sigmoid, Multiply")
def swish(step: OnnxStep) -> OnnxValue:
    """Convert Swish, also known as SiLU."""
    x, alpha = step.value(0), float(step.attribute("alpha", 1.0))
    inner = x if alpha == 1 else scaled(step, x, alpha)
    return elementwise_product(step, x, step.unary(layers.Sigmoid(), inner))


@operator("Mish", "Softplus, Tanh, Multiply")
def mish(step: OnnxStep) -> OnnxValue:
    """Convert Mish."""
    x = step.value(0)
    return elementwise_product(step, x, step.unary(layers.Tanh(), step.unary(layers.Softplus(), x)))


@operator("Softsign", "Abs, ScaleShift, Reciprocal, Multiply")
def softsign(step: OnnxStep) -> OnnxValue:
    """Convert Softsign."""
    x = step.value(0)
    below = step.unary(layers.ScaleShift(scalar(1.0), scalar(1.0)), step.unary(layers.Abs(), x))
    return elementwise_product(step, x, step.unary(layers.Reciprocal(), below))


@operator("Selu", "Elu, Multiply")
def selu(step: OnnxStep) -> OnnxValue:
    """Convert Selu."""
    alpha = step.attribute("alpha", 1.67326319217681884765625)
    gamma = step.attribute("gamma", 1.05070102214813232421875)
    return scaled(step, step.unary(layers.Elu(scalar(alpha)), step.value(0)), gamma)


@operator("Celu", "Multiply, Elu")
def celu(step: OnnxStep) -> OnnxValue:
    """Convert Celu: alpha * elu(x / alpha)."""
    alpha = float(step.attribute("alpha", 1.0))
    if alpha <= 0:
        raise Refused(f"its alpha is {alpha}")
    inner = step.value(0) if alpha == 1 else scaled(step, step.value(0), 1 / alpha)
    made = step.unary(layers.Elu(scalar(1.0)), inner)
    return made if alpha == 1 else scaled(step, made, alpha)


@operator("ThresholdedRelu", "ScaleShift, Step, Multiply")
def thresholded_relu(step: OnnxStep) -> OnnxValue:
    """Convert ThresholdedRelu."""
    x = step.value(0)
    over = step.unary(layers.ScaleShift(scalar(1.0), scalar(-step.attribute("alpha", 1.0))), x)
    return elementwise_product(step, x, step.unary(layers.Step(), over))


@operator("Sign", "Step, Subtract")
def sign(step: OnnxStep) -> OnnxValue:
    """Convert Sign."""
    x = step.value(0)
    below = step.unary(layers.Step(), scaled(step, x, -1))
    return step.made(layers.Subtract(), [step.unary(layers.Step(), x), below], x.dims, x.axes)


@operator("Pow", "Multiply, Sqrt, Reciprocal; exponents of multiples of a half up to 8", "other exponents")
def power(step: OnnxStep) -> OnnxValue:
    """Convert Pow, with a constant exponent."""
    x, given = step.value(0), np.unique(step.constant(1, "exponents"))
    exponent = float(given[0]) if given.size == 1 else 0.0
    if abs(exponent) > 8 or (2 * exponent) % 1 or not exponent:
        raise Refused(f"its exponents are {given.tolist()}")
    if exponent == -0.5:
        return step.unary(layers.ReciprocalSqrt(), x)
    base = x if exponent > 0 else step.unary(layers.Reciprocal(), x)
    whole, half = divmod(abs(exponent), 1)
    made = step.unary(layers.Sqrt(), base) if half else None
    for _ in range(int(whole)):
        made = base if made is None else elementwise_product(step, made, base)
    assert made is not None
    return made


@operator("LogSoftmax", "LogSoftmax", "along the batch axis; before opset 13, over several axes")
def log_softmax(step: OnnxStep) -> OnnxValue:
    """Convert LogSoftmax, along any axis."""
    x = step.value(0)
    axis = axis_of(step.attribute("axis", -1 if step.opset >= 13 else 1), len(x.dims))
    if step.opset < 13 and axis != len(x.dims) - 1:
        raise Refused("it normalises several axes together")
    return step.unary(layers.LogSoftmax(), step.builder.last(x, axis))


def elementwise_product(step: OnnxStep, a: OnnxValue, b: OnnxValue) -> OnnxValue:
    """The element-wise product of two values with equal axes."""
    return replace(step.made(layers.Multiply(), [a, b], a.dims, a.axes), kind=a.kind)


def scaled(step: OnnxStep, x: OnnxValue, factor: Any) -> OnnxValue:
    """The value times a number."""
    number = step.builder.add(f"{step.name}_factor", layers.Constant(scalar(factor)))
    return step.made(layers.Multiply(), [x, number], x.dims, x.axes)
