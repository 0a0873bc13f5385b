# SPDX-License-Identifier: MIT
"""Attention as PyTorch's newer exporter writes it: one node, which is read as its definition."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from fixedpoint_nn import RtlModel, calibrate, from_onnx, quantize

torch = pytest.importorskip("torch", reason="PyTorch is in the `peers` extra")
pytest.importorskip("onnxscript", reason="the newer exporter takes onnxscript, in the `peers` extra")
nn = torch.nn

pytestmark = pytest.mark.peers


class Heads(nn.Module):
    """Causal attention of two heads over five rows."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: Any) -> Any:
        q, k, v = (part(x).reshape(-1, 5, 2, 4).transpose(1, 2) for part in list(self.parts)[:3])
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.parts[3](y.transpose(1, 2).reshape(-1, 5, 8))


def test_causal_attention_is_the_same_in_floats_and_on_the_engine(tmp_path: Path) -> None:
    torch.manual_seed(0)
    heads, path = Heads().eval(), tmp_path / "attention.onnx"
    x = np.random.default_rng(0).normal(size=(64, 5, 8)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            heads, (torch.from_numpy(x[:2]),), path, dynamo=True, verbose=False, input_names=["x"],
            dynamic_shapes={"x": {0: "n"}}, opset_version=23,
        )  # fmt: skip
    assert "Attention" in [node.op_type for node in onnx.load(path).graph.node]
    net: Any = from_onnx(path)
    np.testing.assert_allclose(net(x), heads(torch.from_numpy(x)).detach().numpy(), atol=1e-5)
    fixed = quantize(net, calibrate(net, x, word=12))
    assert np.array_equal(RtlModel(fixed, lanes=4)(x[:2]).ints, fixed(x[:2]).ints)
