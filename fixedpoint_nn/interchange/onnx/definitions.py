# SPDX-License-Identifier: MIT
"""Operators that ONNX's specification defines by others, such as Attention: read as those.

The specification's text depends on the types and ranks of the operands, so it is taken where these are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.file import branch_of, package
from fixedpoint_nn.interchange.onnx.folding import proto_attribute
from fixedpoint_nn.interchange.onnx.model import Branch, OnnxOperation
from fixedpoint_nn.interchange.onnx.step import Operand
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused

NEWEST_IR = 13  # of the small model that the specification is inlined in
KINDS = {"float": "FLOAT", "int": "INT64", "bool": "BOOL"}

DEFINED = {  # the operators that are read so, each with what is refused of it
    "Attention": "masks and lengths that are computed; a cache without a mask; half floats in between",
    "CastLike": "what Cast refuses",
    "ReduceLogSum": "sums over the batch, or of nothing",
    "ReduceLogSumExp": "sums over the batch, or of nothing",
    "RotaryEmbedding": "positions that are computed",
    "SwiGLU": "half floats in between",
}


def definition(operation: OnnxOperation, operands: Sequence[Operand], opset: int) -> Branch:
    """The operations that define this one, for these operands; raises Refused where the specification has none."""
    onnx = package()
    from onnx import inliner

    names = [
        name if operand is not None else "" for name, operand in zip(operation.inputs, operands, strict=True)
    ]
    attributes = {name: proto_attribute(onnx, value) for name, value in operation.attributes.items()}
    node = onnx.helper.make_node(operation.op, names, list(operation.outputs), **attributes)
    given = {name: operand for name, operand in zip(names, operands, strict=True) if name}
    inputs = [_typed(onnx, name, operand) for name, operand in given.items()]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in operation.outputs if name]
    graph = onnx.helper.make_graph([node], operation.name, inputs, outputs)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=NEWEST_IR
    )
    try:
        made = inliner.inline_selected_functions(model, [("", operation.op)], inline_schema_functions=True)
        left = {inner.op_type for inner in made.graph.node}
    except Exception:  # the class belongs to the C++ library, which cannot define every use
        left = {operation.op}
    if operation.op in left:
        raise Refused("ONNX does not define it by other operators for these operands")
    return branch_of(onnx, made.graph, operation.name, opset, None)


def _typed(onnx: Any, name: str, operand: Operand) -> Any:
    """An operand's type and shape."""
    if isinstance(operand, OnnxValue):
        kind = KINDS.get(operand.kind, "FLOAT") if isinstance(operand.kind, str) else "FLOAT"
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DataType.Value(kind), operand.dims)
    array = np.asarray(operand)
    return onnx.helper.make_tensor_value_info(
        name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
    )
