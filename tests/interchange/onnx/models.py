# SPDX-License-Identifier: MIT
"""Small ONNX models, and what ONNX Runtime says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from fixedpoint_nn import Tensor
from fixedpoint_nn.interchange.onnx.reader import Imported, imported
from fixedpoint_nn.interchange.onnx.unsaturated import unsaturated

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def node(op: str, inputs: str, outputs: str, name: str = "", **attributes: Any) -> onnx.NodeProto:
    """`node("Conv", "x w", "y")`; an input that is left out is written as _."""
    names = ["" if part == "_" else part for part in inputs.split()]
    return helper.make_node(
        op, names, outputs.split(), name=name or f"{op}_{outputs.split()[0]}", **attributes
    )


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str | None]],
    outputs: Sequence[str],
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
    kinds: Mapping[str, int] | None = None,
) -> bytes:
    """The bytes of a model; inputs by name with their shapes."""
    kinds = kinds or {}
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(n, kinds.get(n, FLOAT), s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, kinds.get(n, FLOAT), None) for n in outputs],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    blob: bytes = made.SerializeToString()
    return blob


def reference(blob: bytes, arrays: Mapping[str, Any]) -> list[np.ndarray[Any, Any]]:
    """What ONNX Runtime computes, without graph optimisations and without sums that saturate on some processors."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    exact = unsaturated(onnx.load_from_string(blob)).SerializeToString()
    session = onnxruntime.InferenceSession(exact, options, providers=["CPUExecutionProvider"])
    results: list[np.ndarray[Any, Any]] = session.run(None, dict(arrays))
    return results


def ours(found: Imported, arrays: Mapping[str, Any]) -> list[np.ndarray[Any, Any]]:
    """What the imported network computes, in the file's order of axes."""
    given = [door.inward(arrays[door.name]) for door in found.inputs]
    results = found.net(*(Tensor(x) if x.dtype.kind == "f" else x for x in given))
    several = results if isinstance(results, tuple) else (results,)
    return [
        door.outward(y.data if isinstance(y, Tensor) else y)
        for door, y in zip(found.outputs, several, strict=True)
    ]


def check(blob: bytes, arrays: Mapping[str, Any], **options: Any) -> Imported:
    """Both compute the same floats, up to the order of sums."""
    found = imported(blob, **options)
    expected, computed = reference(blob, arrays), ours(found, arrays)
    assert len(expected) == len(computed)
    for wanted, got in zip(expected, computed, strict=True):
        assert wanted.shape == got.shape
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    return found
