# SPDX-License-Identifier: MIT
"""Constant folding: nodes with constant operands, such as shape computations, are evaluated by ONNX's reference."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.file import package
from fixedpoint_nn.interchange.onnx.model import OnnxOperation
from fixedpoint_nn.interchange.onnx.value import BATCH, MOST_ELEMENTS, Refused
from fixedpoint_nn.numerics.arrays import Array

# Their results have at most the elements of the broadcast operands.
_BROADCASTING = {
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "Min", "Max", "And", "Or", "Xor", "Not", "Equal", "Greater", "Less",
    "GreaterOrEqual", "LessOrEqual", "Where", "Abs", "Neg", "Sqrt", "Exp", "Log", "Reciprocal", "Floor", "Ceil",
    "Round", "Sign", "Erf", "Tanh", "Sigmoid", "Relu", "Clip", "Cast", "CastLike", "Identity", "Dropout",
    "Shape", "Size", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Constant",
    "ReduceProd", "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ArgMax", "ArgMin", "NonZero", "CumSum",
    "DequantizeLinear", "QuantizeLinear", "LeakyRelu", "Elu", "HardSigmoid", "HardSwish", "Softmax",
    "DepthToSpace", "BatchNormalization", "Trilu", "IsNaN", "IsInf",
}  # fmt: skip

# Opsets that ONNX's reference begins with; older ones mean the same.
OLDEST = dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), 19)


def computed(operation: OnnxOperation, operands: Sequence[Array | None], opset: int) -> list[Array]:
    """The results of a node with constant operands."""
    if operation.op == "Expand" and operands[0] is not None and operands[1] is not None:
        return [_expanded(operands[0], operands[1])]
    size = _bound(operation, operands)
    if size > MOST_ELEMENTS:
        raise Refused(f"it makes a constant of {size:,} elements, and {MOST_ELEMENTS:,} is the most")
    return evaluated(operation, operands, opset)


def _expanded(array: Array, shape: Array) -> Array:
    """The constant broadcast to a shape, as a view."""
    sizes = tuple(int(size) for size in shape.ravel())
    if prod(1 if size == BATCH else max(size, 1) for size in sizes) * array.size > MOST_ELEMENTS:
        raise Refused(f"it makes a constant of the shape {list(sizes)}, which is too large")
    try:
        return np.broadcast_to(array, np.broadcast_shapes(array.shape, sizes))
    except ValueError:
        raise Refused(f"it expands a constant of shape {list(array.shape)} to {list(sizes)}") from None


def evaluated(operation: OnnxOperation, operands: Sequence[Array | None], opset: int) -> list[Array]:
    """The results by ONNX's reference implementation."""
    onnx = package()
    from onnx.reference import ReferenceEvaluator

    names = [
        name if operand is not None else "" for name, operand in zip(operation.inputs, operands, strict=True)
    ]
    attributes = {name: proto_attribute(onnx, value) for name, value in operation.attributes.items()}
    node = onnx.helper.make_node(operation.op, names, list(operation.outputs), **attributes)
    unknown = onnx.TypeProto()
    graph = onnx.helper.make_graph(
        [node],
        "constant",
        [onnx.helper.make_value_info(name, unknown) for name in dict.fromkeys(filter(None, names))],
        [onnx.helper.make_value_info(name, unknown) for name in operation.outputs if name],
    )
    opset = max(opset, OLDEST.get(operation.op, 0))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)
    feed = {name: operand for name, operand in zip(names, operands, strict=True) if name}
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, feed)
    except Exception as error:  # any error of the reference for operands that do not fit
        raise Refused(f"its constant operands do not fit: {' '.join(str(error).split())[:200]}") from None
    return [np.asarray(result) for result in results]


def proto_attribute(onnx: Any, value: Any) -> Any:
    """An attribute as `onnx` writes it."""
    return onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value


def _bound(operation: OnnxOperation, operands: Sequence[Array | None]) -> int:
    """An upper bound of the number of elements of any result."""
    given = [operand for operand in operands if operand is not None]
    sizes = [operand.size for operand in given]
    if operation.op in _BROADCASTING:
        try:
            return max([prod(np.broadcast_shapes(*(operand.shape for operand in given))), *sizes], default=0)
        except ValueError:
            return max(sizes, default=0)
    if operation.op in ("Concat", "Gather", "GatherElements", "ScatterElements", "ScatterND", "GatherND"):
        if operation.op == "Gather" and given[0].ndim:
            return prod(given[0].shape) * max(given[1].size, 1)
        return sum(sizes)
    if operation.op in ("MatMul", "Gemm"):  # at most every product of two elements
        return sizes[0] * (given[1].shape[-1] if given[1].ndim > 1 else 1) + sum(sizes[2:])
    last = given[-1] if given else np.zeros(1)
    if operation.op == "ConstantOfShape":
        return prod(int(x) for x in last.ravel())
    if operation.op == "Tile":
        return prod(int(x) for x in last.ravel()) * given[0].size
    if operation.op == "Range" and len(given) == 3:
        start, limit, delta = (float(x) for x in given)
        return int(abs((limit - start) / delta)) + 1 if delta else MOST_ELEMENTS + 1
    if operation.op == "Pad" and len(given) > 1:
        return prod(size + int(np.abs(given[1]).sum()) for size in given[0].shape)
    raise Refused("it has constant operands only, and is not computed for them")
