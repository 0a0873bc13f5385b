# SPDX-License-Identifier: MIT
"""Operators of onnxruntime's own domain, expanded into ONNX's operators.

Operators whose kernels compute differently from their parts are not expanded; see `integers/runtime_kernels.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fixedpoint_nn.interchange.onnx.model import OnnxModel, OnnxOperation

RUNTIME = "com.microsoft"
SAME = ("QuantizeLinear", "DequantizeLinear")  # ONNX's, for more types
KERNELS = (
    "QLinearAdd",
    "QLinearMul",
    "QLinearAveragePool",
    "QLinearGlobalAveragePool",
    "QLinearSoftmax",
    "QGemm",
)
PARTS = {
    "QLinearSigmoid": "Sigmoid",
    "QLinearLeakyRelu": "LeakyRelu",
    "QLinearReduceMean": "ReduceMean",
}
DEPENDS = (
    "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "DynamicQuantizeLinear", "MatMulIntegerToFloat", "QAttention",
)  # fmt: skip
REASONS = dict.fromkeys(
    DEPENDS,
    "its scales depend on the data; quantise the model statically, or read its float network by quantised=False or "
    "`fixedpoint-nn import --floats`",
)


def with_parts(model: OnnxModel) -> OnnxModel:
    """The model with such nodes expanded where that gives the same integers."""
    operations: list[OnnxOperation] = []
    for operation in model.operations:
        operations += _parts(operation) if operation.domain == RUNTIME else [operation]
    return replace(model, operations=tuple(operations))


def _parts(node: OnnxOperation) -> list[OnnxOperation]:
    """The standard nodes that compute the same as this node of ONNX Runtime's own domain."""
    if node.op in SAME:
        return [replace(node, domain="")]
    if node.op in PARTS and not node.attributes.get("channels_last"):
        about = {name: value for name, value in node.attributes.items() if name != "channels_last"}
        axes = node.inputs[5:]
        return _surrounded(node, PARTS[node.op], [node.inputs[:3]], node.inputs[3:5], about, axes)
    if node.op == "QLinearConcat":
        groups = [node.inputs[i : i + 3] for i in range(2, len(node.inputs), 3)]
        return _surrounded(node, "Concat", groups, node.inputs[:2], node.attributes)
    if node.op in KERNELS and not node.attributes.get("channels_last"):
        return [replace(node, domain="")]
    return [node]


def _surrounded(
    node: OnnxOperation,
    op: str,
    groups: list[tuple[str, ...]],
    after: tuple[str, ...],
    attributes: Mapping[str, Any],
    more: tuple[str, ...] = (),
) -> list[OnnxOperation]:
    """The operator between DequantizeLinear of each (codes, scale, zero point) and QuantizeLinear of its result."""
    made = [f"{node.outputs[0]}_real_{number}" for number in range(len(groups))]
    parts = [
        OnnxOperation(f"{node.name}_real_{number}", "DequantizeLinear", group, (name,))
        for number, (group, name) in enumerate(zip(groups, made, strict=True))
    ]
    result = f"{node.outputs[0]}_real"
    parts.append(OnnxOperation(node.name, op, (*made, *more), (result,), attributes))
    parts.append(OnnxOperation(f"{node.name}_codes", "QuantizeLinear", (result, *after), node.outputs))
    return parts
