# SPDX-License-Identifier: MIT
"""Comparisons and logic, with 1 and 0 for true and false, and selection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.masks import HIDES, masked
from fixedpoint_nn.interchange.onnx.operators.activations import scalar
from fixedpoint_nn.interchange.onnx.operators.elementwise import joined
from fixedpoint_nn.interchange.onnx.step import OnnxStep, Operand, Result, operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array

INPUTS = "truth values as inputs of the network"
TRUTH = "bool"  # the kind of values that are 1 or 0


def _compares(turned: bool, negated: bool) -> Callable[[OnnxStep], OnnxValue]:
    def convert(step: OnnxStep) -> OnnxValue:
        operands = list(step.operands)
        step.operands = operands[::-1] if turned else operands
        over = _difference(step)
        made = step.unary(layers.Step(), over)
        return replace(_not(step, made) if negated else made, kind=TRUTH)

    return convert


def _difference(step: OnnxStep) -> OnnxValue:
    """The first operand minus the second."""
    first, second = step.operands
    if isinstance(second, np.ndarray):
        step.operands = [first, -second.astype(np.float32)]
        return joined(step, layers.Add(), 2)
    return joined(step, layers.Subtract(), 2, commutes=False)


def _not(step: OnnxStep, x: OnnxValue) -> OnnxValue:
    return step.unary(layers.ScaleShift(scalar(-1.0), scalar(1.0)), x)


for _name, _turned, _negated in (
    ("Greater", False, False),
    ("Less", True, False),
    ("GreaterOrEqual", True, True),
    ("LessOrEqual", False, True),
):
    operator(_name, "Subtract, Step", "whole numbers")(_compares(_turned, _negated))


@operator("Not", "ScaleShift", INPUTS)
def not_(step: OnnxStep) -> OnnxValue:
    """Convert Not."""
    return _not(step, step.value(0, TRUTH))


@operator("And", "Multiply", INPUTS)
def and_(step: OnnxStep) -> OnnxValue:
    """Convert And."""
    return joined(step, layers.Multiply(), 2, kind=TRUTH)


@operator("Or", "Maximum", INPUTS)
def or_(step: OnnxStep) -> OnnxValue:
    """Convert Or."""
    return joined(step, layers.Maximum(), 2, kind=TRUTH)


@operator("IsNaN", "nothing: no value here is nan", "as an output")
def is_nan(step: OnnxStep) -> Array:
    """Convert IsNaN of what is computed."""
    return np.zeros((1,) * len(step.value(0).dims), bool)


@operator("Where", "Multiply, Add; a mask of Softmax", "whole numbers; a choice between constants")
def where(step: OnnxStep) -> Result:
    """Convert Where: condition * x + (1 - condition) * y, as far as both are there."""
    condition, x, y = step.operands
    for place, operand in enumerate((x, y), 1):
        if isinstance(operand, OnnxValue):
            step.value(place)
    if isinstance(condition, OnnxValue):
        truth = replace(step.value(0, TRUTH), kind="float")
        return _added(step, _multiplied(step, truth, x), _multiplied(step, _not(step, truth), y))
    chosen = step.constant(0, "conditions").astype(bool)
    if chosen.all() or not chosen.any():
        return _only(step, x if chosen.all() else y)
    if isinstance(x, np.ndarray):
        x, y, chosen = y, x, ~chosen
    if isinstance(y, np.ndarray):
        if (y <= HIDES).all():
            return masked(step.value(1) if x is step.operands[1] else step.value(2), chosen)
        kept = _multiplied(step, x, chosen.astype(np.float32))
        rest = np.where(chosen, 0, y).astype(np.float32)
        return _added(step, kept, rest) if rest.any() else kept
    first, second = (_multiplied(step, v, c.astype(np.float32)) for v, c in ((x, chosen), (y, ~chosen)))
    return _added(step, first, second)


def _only(step: OnnxStep, chosen: Operand) -> Result:
    """The result of a constant condition: the chosen operand, broadcast to the shape of all operands."""
    shapes = [x.dims if isinstance(x, OnnxValue) else x.shape for x in step.operands if x is not None]
    dims = np.broadcast_shapes(*shapes)
    if chosen is None or (chosen.dims if isinstance(chosen, OnnxValue) else chosen.shape) != dims:
        raise Refused("its condition is the same everywhere, and its choice would have to be repeated")
    return chosen


def _multiplied(step: OnnxStep, x: Operand, y: Operand) -> OnnxValue:
    step.operands = [x, y]
    return joined(step, layers.Multiply(), 2)


def _added(step: OnnxStep, x: Operand, y: Operand) -> OnnxValue:
    step.operands = [x, y]
    return joined(step, layers.Add(), 2)
