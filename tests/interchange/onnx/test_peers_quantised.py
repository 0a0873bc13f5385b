# SPDX-License-Identifier: MIT
"""Transformers of PyTorch, quantised by onnxruntime's own tool: every tensor equal, and so in the Verilog."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import RtlModel, from_onnx
from fixedpoint_nn.interchange.comparison import compare

torch = pytest.importorskip("torch", reason="PyTorch is in the `peers` extra")
quantization = pytest.importorskip("onnxruntime.quantization")
nn = torch.nn

pytestmark = pytest.mark.peers


class Patches(nn.Module):  # type: ignore[misc, name-defined]
    """Patches and a token of the class, with their places, through an encoder of two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.token = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8) / 4)
        self.places = nn.Parameter(torch.randn(1, 5, 8) / 4)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = self.cut(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.norm(self.encoder(x))[:, 0])


class Words(nn.Module):  # type: ignore[misc, name-defined]
    """Token ids with their places, through an encoder of two heads, to a class."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(20, 8), nn.Embedding(6, 8)
        self.norm = nn.LayerNorm(8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True)
        self.pool, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, ids: Any) -> Any:
        x = self.encoder(self.norm(self.words(ids) + self.places(torch.arange(ids.shape[1]))))
        return self.head(torch.tanh(self.pool(x[:, 0])))


def quantised(net: Any, x: np.ndarray, folder: Path, format: Any) -> Path:
    """The network, exported and quantised by the runtime's tool."""
    about = {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}, "opset_version": 17}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's age
        torch.onnx.export(net.eval(), (torch.tensor(x[:2]),), folder / "float.onnx", **about)

    class Samples(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.left: Iterator[Any] = iter({"x": x[i : i + 4]} for i in range(0, len(x), 4))

        def get_next(self) -> Any:
            return next(self.left, None)

    quantization.shape_inference.quant_pre_process(
        str(folder / "float.onnx"), str(folder / "shapes.onnx"), skip_symbolic_shape=True
    )
    path = folder / "quantised.onnx"
    quantization.quantize_static(
        str(folder / "shapes.onnx"), str(path), Samples(), quant_format=format,
        activation_type=quantization.QuantType.QInt8, weight_type=quantization.QuantType.QInt8,
    )  # fmt: skip
    return path


def check(path: Path, x: np.ndarray, tensors: int) -> None:
    """Every tensor is the runtime's, and the Verilog's words are the network's."""
    found = compare(path, x)
    assert found.equal and found.exact and len(found.pairs) > tensors, str(found)
    network = from_onnx(path)
    assert np.array_equal(RtlModel(network)(x[:2]).ints, network(x[:2]).ints)


def test_a_quantised_vision_transformer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype(np.float32)
    path = quantised(Patches(), x, tmp_path, quantization.QuantFormat.QDQ)
    check(path, x.transpose(0, 2, 3, 1), 30)


@pytest.mark.parametrize("format", ["QDQ", "QOperator"])
def test_a_quantised_transformer_of_words(format: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    ids = np.random.default_rng(0).integers(0, 20, (16, 6))
    path = quantised(Words(), ids, tmp_path, quantization.QuantFormat[format])
    check(path, ids, 20)
