# SPDX-License-Identifier: MIT
"""Files that quantise activations while they run, read as float networks with their dequantised weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic

from fixedpoint_nn import calibrate, from_onnx, quantize
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import model, node, reference

WAY_OUT = "quantise the model statically, or read its float network by quantised=False or `fixedpoint-nn import --fl"


def on_grid(*shape: int) -> Any:
    """Weights that codes of 8 bits hold exactly."""
    codes = np.random.default_rng(sum(shape)).integers(-127, 128, shape)
    codes.flat[:2] = -127, 127
    return (codes / 128).astype(np.float32)


def product() -> bytes:
    nodes = [node("Gemm", "x w b", "a", transB=1), node("Relu", "a", "r"), node("MatMul", "r v", "y")]
    return model(nodes, {"x": ["N", 6]}, ["y"], {"w": on_grid(5, 6), "b": on_grid(5), "v": on_grid(5, 3)})


def recurrent() -> bytes:
    nodes = [
        node("LSTM", "x w r b", "h", hidden_size=3),
        node("Squeeze", "h t", "g"),
        node("MatMul", "g v", "y"),
    ]
    constants = {"w": on_grid(1, 12, 4), "r": on_grid(1, 12, 3), "b": on_grid(1, 24), "v": on_grid(3, 2)}
    return model(nodes, {"x": [5, "N", 4]}, ["y"], {**constants, "t": np.array([1])})


def convolution() -> bytes:
    nodes = [node("Conv", "x w b", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "y")]
    return model(nodes, {"x": ["N", 2, 5, 5]}, ["y"], {"w": on_grid(4, 2, 3, 3), "b": on_grid(4)})


CASES = {
    "product": (product, (7, 6), (0, 1), (0, 1)),
    "recurrent": (recurrent, (5, 7, 4), (1, 0, 2), (1, 0, 2)),
    "convolution": (convolution, (2, 2, 5, 5), (0, 2, 3, 1), (0, 3, 1, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_float_network_is_the_one_that_was_quantised(name: str, tmp_path: Path) -> None:
    made, shape, inward, outward = CASES[name]
    floats, path = tmp_path / "floats.onnx", tmp_path / "dynamic.onnx"
    floats.write_bytes(made())
    quantize_dynamic(floats, path, weight_type=QuantType.QInt8)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    (y,) = reference(floats.read_bytes(), {"x": x})
    net: Any = from_onnx(path, quantised=False)
    samples = x.transpose(inward)
    np.testing.assert_allclose(net(samples).transpose(outward), y, atol=1e-5)
    fixed = quantize(net, calibrate(net, samples, word=16))
    assert np.abs(fixed(samples).to_float().transpose(outward) - y).max() < 0.01
    with pytest.raises(UnsupportedModel, match=WAY_OUT):
        from_onnx(path)


def test_columns_have_zero_points_and_scales_of_their_own() -> None:
    codes, zeros = np.arange(12, dtype=np.uint8).reshape(3, 4), np.array([3, 7, 0, 12], np.uint8)
    scales = np.array([0.5, 0.25, 0.75, 2], np.float32)
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"), node("Mul", "s scales", "both"),
        node("MatMulInteger", "q w z zeros", "sums"), node("Cast", "sums", "f", to=1), node("Mul", "f both", "y"),
    ]  # fmt: skip
    blob = model(nodes, {"x": ["N", 3]}, ["y"], {"w": codes, "zeros": zeros, "scales": scales})
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    net: Any = from_onnx(blob, quantised=False)
    np.testing.assert_allclose(net(x), x @ ((codes.astype(int) - zeros) * scales), rtol=1e-6)


def test_ids_choose_rows_of_the_dequantised_table() -> None:
    codes = np.arange(-10, 10, dtype=np.int8).reshape(5, 4)
    nodes = [
        node("Gather", "table ids", "rows"), node("DequantizeLinear", "rows s z", "real"), node("Relu", "real", "y"),
    ]  # fmt: skip
    constants = {"table": codes, "s": np.float32(0.25), "z": np.int8(-3)}
    blob = model(nodes, {"ids": ["N", 3]}, ["y"], constants, kinds={"ids": TensorProto.INT64})
    ids = np.random.default_rng(0).integers(0, 5, (4, 3))
    net: Any = from_onnx(blob, quantised=False)
    np.testing.assert_array_equal(net(ids), reference(blob, {"ids": ids})[0])
