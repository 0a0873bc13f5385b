# SPDX-License-Identifier: MIT
"""Comparisons and logic, with 1 and 0 for true and false, and selection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.builder import tensor
from fixedpoint_nn.interchange.onnx.masks import HIDES, masked
from fixedpoint_nn.interchange.onnx.operators.activations import scalar
from fixedpoint_nn.interchange.onnx.operators.elementwise import joined
from fixedpoint_nn.interchange.onnx.operators.movement import rows_of
from fixedpoint_nn.interchange.onnx.step import OnnxStep, Operand, Result, operator
from fixedpoint_nn.interchange.onnx.value import MOST_ELEMENTS, OnnxValue, Refused
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


@operator("Equal", "Embedding where whole numbers are compared with 0, 1, 2, ...", "all other comparisons")
def equal(step: OnnxStep) -> Result:
    """Convert Equal of ids, on an axis of length 1, with all of their values, which is a row of one 1 for each.

    No value here is infinite, so none is equal to infinity.
    """
    ids, values = (step.operands if isinstance(step.operands[0], OnnxValue) else step.operands[::-1])[:2]
    if isinstance(ids, OnnxValue) and isinstance(values, np.ndarray) and _never_equal(ids, values):
        return np.zeros((1,) * max(len(ids.dims), values.ndim), bool)
    if not isinstance(ids, OnnxValue) or ids.kind != "int" or isinstance(values, OnnxValue) or values is None:
        raise Refused("it compares other values than whole numbers with constants")
    count, rank = values.size, len(ids.dims)
    if rank == 0 and ids.node in step.free:
        raise Refused(
            f"it compares an input with one number; fix the input: constants={{{ids.node!r}: ...}}, or "
            f"--constant {ids.node}=... on the command line",
            ids.node,
        )
    if rank < 2 or ids.dims[-1] != 1 or ids.batch == rank - 1 or values.shape[-1:] != (count,):
        raise Refused(f"it compares {list(ids.dims)} whole numbers with {list(values.shape)}")
    if not np.array_equal(values.ravel(), np.arange(count)):
        raise Refused("it compares whole numbers with others than 0, 1, 2, ...")
    made = rows_of(step, tensor(np.eye(count, dtype=np.float32)), ids)
    blocks = [((axis,), (size,)) for axis, size in enumerate(ids.dims[:-1])]
    joined_axes = step.builder.regrouped(made, [*blocks, ((rank - 1, rank), (count,))], f"{step.name}_shaped")
    return replace(joined_axes, kind=TRUTH)


def _never_equal(x: OnnxValue, constant: Array) -> bool:
    """Whether floats are compared with infinity."""
    return bool(x.kind == "float" and constant.dtype.kind == "f" and np.isinf(constant).all())


@operator("OneHot", "Embedding", "another axis than a new last one; depths and values that are computed")
def one_hot(step: OnnxStep) -> OnnxValue:
    """Convert OneHot."""
    ids, depth, values = step.value(0, kind="int"), step.constant(1, "depth"), step.constant(2, "values")
    if step.attribute("axis", -1) not in (-1, len(ids.dims)) or depth.size != 1 or values.size != 2:
        raise Refused("it makes another axis than the last one")
    count, (off, on) = int(depth.reshape(-1)[0]), values.astype(np.float32)
    if not 0 < count <= MOST_ELEMENTS >> 12:
        raise Refused(f"its depth is {count}")
    return rows_of(step, tensor(np.where(np.eye(count, dtype=bool), on, off).astype(np.float32)), ids)


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
