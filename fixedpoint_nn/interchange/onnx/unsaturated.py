# SPDX-License-Identifier: MIT
"""An equal ONNX model whose integer products ONNX Runtime computes exactly on every processor.

On x86 processors without VNNI instructions, ONNX Runtime adds pairs of products of uint8 values and int8 weights in 16
bits, which saturate. Products of uint8 values and uint8 weights do not, so weights are moved by 128, and so are their
zero points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.file import package
from fixedpoint_nn.numerics.arrays import Array

# (values, their zero point, weights, their zero point) among the inputs of a node
PLACES: dict[str, tuple[int, int, int, int]] = {
    "QLinearConv": (0, 2, 3, 5),
    "QLinearMatMul": (0, 2, 3, 5),
    "QGemm": (0, 2, 3, 5),
    "ConvInteger": (0, 2, 1, 3),
    "MatMulInteger": (0, 2, 1, 3),
}
MOVED = 128


def unsaturated(model: Any) -> Any:
    """The model with constant int8 weights of uint8 values as uint8 weights; the given one if it has none."""
    nodes = [node for node in model.graph.node if node.op_type in PLACES]
    if not nodes:
        return model
    onnx = package()
    made = onnx.ModelProto()
    made.CopyFrom(model)
    constants = {one.name: one for one in made.graph.initializer}
    types = _types(onnx, made)
    for node in (node for node in made.graph.node if node.op_type in PLACES):
        x, x_zero, w, w_zero = PLACES[node.op_type]
        names = [*node.input, *[""] * (1 + max(x_zero, w_zero) - len(node.input))]
        kind = types.get(names[x_zero]) or types.get(names[x])
        weights, zero = constants.get(names[w]), constants.get(names[w_zero])
        if kind != onnx.TensorProto.UINT8 or weights is None or weights.data_type != onnx.TensorProto.INT8:
            continue
        if names[w_zero] and zero is None:  # a computed zero point
            continue
        zeros: Array = np.zeros((), np.int8) if zero is None else onnx.numpy_helper.to_array(zero)
        for place, values in ((w, onnx.numpy_helper.to_array(weights)), (w_zero, zeros)):
            name = f"{names[w]}/uint8/{'weights' if place == w else 'zero'}/{node.output[0]}"
            moved = (values.astype(np.int64) + MOVED).astype(np.uint8)
            made.graph.initializer.append(onnx.numpy_helper.from_array(moved, name))
            names[place] = name
        del node.input[:]
        node.input.extend(names)
    return made


def _types(onnx: Any, model: Any) -> dict[str, int]:
    """The element types of the values that say them, or that ONNX can infer."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # of operators that it does not know; the zero points say most types
        graph = model.graph
    values = [*graph.input, *graph.value_info, *graph.output]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {one.name: one.data_type for one in graph.initializer}
