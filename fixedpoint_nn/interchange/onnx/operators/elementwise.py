# SPDX-License-Identifier: MIT
"""Element-wise operators of several operands, broadcast as in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.builder import tensor
from fixedpoint_nn.interchange.onnx.doors import FLOATS
from fixedpoint_nn.interchange.onnx.file import package
from fixedpoint_nn.interchange.onnx.masks import Masked, hides, masked, without_mask
from fixedpoint_nn.interchange.onnx.operators.activations import scalar
from fixedpoint_nn.interchange.onnx.step import OnnxStep, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array

WRAPS = "whole numbers, which would wrap around"


@operator("Add", "Add, or the bias of the product before it", WRAPS)
def add(step: OnnxStep) -> OnnxValue:
    """Convert Add; what adds minus infinity to some elements hides them from the softmax behind it."""
    for place, operand in enumerate(step.operands):
        if isinstance(operand, np.ndarray) and hides(operand):
            return _hidden(step, step.value(1 - place), operand)
    return joined(step, layers.Add(), 2)


def _hidden(step: OnnxStep, x: OnnxValue, constant: Array) -> OnnxValue:
    added, kept = without_mask(constant)
    if added.any():
        step.operands = [x, added]
        x = joined(step, layers.Add(), 2)
    return masked(x, kept)


@operator("Sum", "Add", WRAPS)
def total(step: OnnxStep) -> OnnxValue:
    """Convert Sum."""
    return joined(step, layers.Add(), len(step.operands))


@operator("Mean", "Add, Multiply", WRAPS)
def mean(step: OnnxStep) -> OnnxValue:
    """Convert Mean."""
    count = len(step.operands)
    step.operands = [joined(step, layers.Add(), count), np.array(1 / count, np.float32)]
    return joined(step, layers.Multiply(), 2)


@operator("Sub", "Subtract, or Add of the negated constant", WRAPS)
def subtract(step: OnnxStep) -> OnnxValue:
    """Convert Sub."""
    if isinstance(step.operands[1], np.ndarray):
        step.operands = [step.operands[0], -step.operands[1]]
        return joined(step, layers.Add(), 2)
    return joined(step, layers.Subtract(), 2, commutes=False)


@operator("Mul", "Multiply", WRAPS)
def multiply(step: OnnxStep) -> OnnxValue:
    """Convert Mul."""
    return joined(step, layers.Multiply(), 2)


@operator("Div", "Multiply by the constant's reciprocal, or by a Reciprocal", WRAPS)
def divide(step: OnnxStep) -> OnnxValue:
    """Convert Div."""
    divisor = step.operands[1]
    if isinstance(divisor, OnnxValue):
        inverse = step.unary(layers.Reciprocal(), step.value(1))
        step.operands = [step.operands[0], inverse]
        return joined(step, layers.Multiply(), 2)
    divisor = step.constant(1, "divisors")
    if not np.all(divisor) or divisor.dtype.kind != "f":
        raise Refused("it divides by zero or by whole numbers")
    step.operands = [step.operands[0], (1 / divisor.astype(np.float64)).astype(divisor.dtype)]
    return joined(step, layers.Multiply(), 2)


@operator("Neg", "Multiply by -1")
def negate(step: OnnxStep) -> OnnxValue:
    """Convert Neg."""
    x = step.value(0)
    minus = step.builder.add(f"{step.name}_minus_one", layers.Constant(scalar(-1)))
    return step.made(layers.Multiply(), [x, minus], x.dims, x.axes)


@operator("Max", "Maximum")
def maximum(step: OnnxStep) -> OnnxValue:
    """Convert Max."""
    _without(step, -np.inf)
    return joined(step, layers.Maximum(), len(step.operands), kind="")


@operator("Min", "Minimum")
def minimum(step: OnnxStep) -> OnnxValue:
    """Convert Min."""
    _without(step, np.inf)
    return joined(step, layers.Minimum(), len(step.operands), kind="")


def _without(step: OnnxStep, limit: float) -> None:
    """Leave out single numbers that never are the result, as programs begin a maximum with minus infinity."""
    step.operands = [
        operand
        for operand in step.operands
        if not (
            isinstance(operand, np.ndarray)
            and operand.size == operand.ndim + 1 == 1
            and operand.item() == limit
        )
    ]


def joined(step: OnnxStep, layer: Any, count: int, commutes: bool = True, kind: str = "float") -> OnnxValue:
    """The layer applied to all operands, values before constants if it commutes."""
    operands = [
        step.value(i, kind) if isinstance(step.operands[i], OnnxValue) else step.constant(i, "operands")
        for i in range(count)
    ]
    values = [operand for operand in operands if isinstance(operand, OnnxValue)]
    constants = [operand for operand in operands if not isinstance(operand, OnnxValue)]
    try:
        dims = np.broadcast_shapes(*(x.dims if isinstance(x, OnnxValue) else x.shape for x in operands))
    except ValueError:
        raise Refused("its operands do not broadcast to one shape") from None
    if count == 1:
        return values[0]
    values = aligned(step, values, len(dims))
    first = values[0]
    batch = first.batch
    if batch is not None and dims[batch] != first.dims[batch]:
        raise Refused(f"it repeats the only sample {dims[batch]} times")
    like = replace(first, dims=dims, flat=None)
    names = [step.builder.constant(f"{step.name}_constant", constant, like) for constant in constants]
    takes: list[OnnxValue | str] = [*values, *names]
    if not commutes and not isinstance(operands[0], OnnxValue):
        takes = [*names, *values]
    return replace(step.made(layer, takes, dims, first.axes), kind=first.kind)


def aligned(step: OnnxStep, values: Sequence[OnnxValue], rank: int) -> list[OnnxValue]:
    """The values with the same number and order of axes."""
    builder = step.builder
    raised = []
    for v in values:
        missing = rank - len(v.dims)
        blocks = [((), (1,)) for _ in range(missing)] + [((a,), (size,)) for a, size in enumerate(v.dims)]
        raised.append(builder.regrouped(v, blocks, f"{v.node}_raised") if missing else v)
    raised = builder.same_batch(raised)
    counts = {v.dims[v.batch] for v in raised if v.batch is not None}
    if len(counts) > 1:
        raise Refused(f"its operands have {' and '.join(map(str, sorted(counts)))} samples")
    largest = max(raised, key=lambda v: prod(v.sample))
    return [builder.arranged(v, largest.order) for v in raised]


@operator("Identity", "nothing", "sequences and optional values")
def identity(step: OnnxStep) -> OnnxValue:
    """Convert Identity."""
    return step.value(0, kind="")


@operator("Dropout", "nothing", "training_mode with a ratio; the mask")
def dropout(step: OnnxStep) -> OnnxValue:
    """Convert Dropout, which does nothing after training."""
    step.attribute("seed"), step.attribute("ratio"), step.attribute("is_test")
    training, ratio = step.optional(2, "training_mode"), step.optional(1, "ratio")
    if training is not None and training.any() and (ratio is None or ratio.any()):
        raise Refused("its training_mode is on, so its result is random; export the model for inference")
    return step.value(0)


@operator("Cast", "nothing", "from floats to another type than FLOAT and DOUBLE")
def cast(step: OnnxStep) -> OnnxValue:
    """Convert Cast between kinds of float."""
    onnx = package()
    step.must_be("saturate", 1)
    step.attribute("round_mode")
    x, to = step.value(0, kind=""), onnx.TensorProto.DataType.Name(step.needed("to"))
    if x.kind == "bool" and (to in FLOATS or to == "BOOL"):
        return replace(x, kind="float" if to in FLOATS else "bool")
    if x.kind == "float" and to not in ("FLOAT", "DOUBLE"):
        raise Refused(f"it casts floats to {to}, which rounds them")
    if isinstance(x.kind, Masked):
        if to not in ("FLOAT", "DOUBLE"):
            raise Refused(x.kind.reason)
        return x
    if x.kind == "int" and not (to in FLOATS or to in ("INT32", "INT64")):
        raise Refused(f"it casts whole numbers to {to}, which may not hold them")
    return replace(x, kind="float" if to in FLOATS else "int")


@operator(
    "BatchNormalization", "BatchNorm, which calibration folds into the product before it", "training_mode"
)
def batch_normalization(step: OnnxStep) -> OnnxValue:
    """Convert BatchNormalization, as a scale and a shift for each channel."""
    step.must_be("training_mode", 0)
    step.must_be("spatial", 1)
    step.attribute("momentum")
    x = step.value(0)
    if len(x.dims) < 2:
        raise Refused("its input has no channels")
    x = step.builder.channels_last(x)
    what = ("scale", "bias", "mean", "variance")
    parameters = [step.constant(i + 1, name) for i, name in enumerate(what)]
    if any(p.shape != (x.dims[1],) for p in parameters):
        raise Refused(f"its parameters are not one for each of the {x.dims[1]} channels")
    gain, bias, mean, variance = (tensor(p) for p in parameters)
    eps = float(step.attribute("epsilon", 1e-5))
    return step.unary(layers.BatchNorm(gain, bias, mean, variance, eps), x)
