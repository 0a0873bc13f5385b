# SPDX-License-Identifier: MIT
"""Rows of a table of integers, chosen by whole numbers that are inputs: the token ids of a language model."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import fixed_constant
from fixedpoint_nn.interchange.onnx.integers.chain import Times
from fixedpoint_nn.interchange.onnx.integers.constants import scaled
from fixedpoint_nn.interchange.onnx.integers.hoisting import MOVES
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.model import OnnxModel
from fixedpoint_nn.interchange.onnx.operators.movement import rows_of
from fixedpoint_nn.interchange.onnx.step import Operand, axis_of
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused


def chooses(operands: list[Operand]) -> bool:
    """Whether computed indices choose among the elements of a constant."""
    return len(operands) > 1 and isinstance(operands[0], np.ndarray) and isinstance(operands[1], OnnxValue)


def rows(step: IntegerStep) -> OnnxValue:
    """The rows of a constant, whose integers keep their meaning."""
    table = step.operands[0]
    assert isinstance(table, np.ndarray)
    ids = step.value(1, kind="int")
    parts = scaled(table)
    if parts is None:
        raise Refused("its table is floats that nothing has rounded; quantise it")
    if axis_of(int(step.attribute("axis", 0)), table.ndim) != 0 or table.ndim < 2:
        raise Refused(f"its input chooses elements of a constant of shape {list(table.shape)}, not rows")
    ints, scales = parts
    if len(np.unique(scales)) > 1:
        raise Refused("its table has a scale for each row or column, and one is supported")
    low, high = min(int(ints.min()), 0), max(int(ints.max()), 0)
    kind: Any = Codes(low, high)
    if table.dtype.kind == "f":
        kind = Reals(low, high, (Times((float(scales.flat[0]),)),))
    made = rows_of(step, fixed_constant(ints), ids)
    return OnnxValue(made.node, made.dims, made.axes, kind)


def is_index(model: OnnxModel, name: str) -> bool:
    """Whether an input chooses elements of something else, and is nothing else."""
    users = model.users()
    waiting, found = deque([name]), False
    seen = {name}
    while waiting:
        value = waiting.popleft()
        for operation in users.get(value, []):
            if operation.op == "Gather" and operation.inputs[1:2] == (value,):
                found = True
            elif operation.op in (*MOVES, "Cast") and operation.inputs[0] == value:
                fresh = [output for output in operation.outputs if output and output not in seen]
                seen.update(fresh)
                waiting.extend(fresh)
            elif operation.op != "Shape":
                return False
    return found
