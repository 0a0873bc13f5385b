# SPDX-License-Identifier: MIT
"""A file with quantisers, read as the float network that was quantised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import calibrate, from_onnx, load_model, quantize
from fixedpoint_nn.cli.program import main
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import model, node, reference


def weights(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed + sum(shape)).standard_normal(shape).astype(np.float32)


W, R = weights(1, 12, 4), weights(1, 12, 3)
CODES, SCALE = np.arange(-6, 6, dtype=np.int8).reshape(3, 4), np.float32(0.25)


def quantised() -> bytes:
    """An LSTM between quantisers, and a product whose Relu is the range of codes without a sign."""
    constants = {
        "w": W,
        "r": R,
        "v": CODES,
        "s": SCALE,
        "zero": np.uint8(0),
        "one": np.int8(7),
        "t": np.array([1]),
    }
    nodes = [
        node("QuantizeLinear", "x s one", "xq"), node("DequantizeLinear", "xq s one", "xr"),
        node("LSTM", "xr w r", "h", hidden_size=3), node("Squeeze", "h t", "g"),
        node("DequantizeLinear", "v s", "vr"), node("MatMul", "g vr", "p"),
        node("QuantizeLinear", "p s zero", "pq"), node("DequantizeLinear", "pq s zero", "y"),
    ]  # fmt: skip
    return model(nodes, {"x": [5, "N", 4]}, ["y"], constants)


def floats() -> bytes:
    """The same without rounding, as its author may have written it."""
    constants = {"w": W, "r": R, "v": CODES * SCALE, "t": np.array([1])}
    constants |= {"a": SCALE * -135, "b": SCALE * 120, "zero": np.float32(0), "c": SCALE * 255}
    nodes = [
        node("Clip", "x a b", "xr"), node("LSTM", "xr w r", "h", hidden_size=3), node("Squeeze", "h t", "g"),
        node("MatMul", "g v", "p"), node("Clip", "p zero c", "y"),
    ]  # fmt: skip
    return model(nodes, {"x": [5, "N", 4]}, ["y"], constants)


def test_values_keep_the_ranges_of_their_quantisers() -> None:
    net: Any = from_onnx(quantised(), quantised=False)
    x = 20 * weights(5, 6, 4)
    (y,) = reference(floats(), {"x": x})
    assert (y == 0).any() and np.abs(x).max() > 30
    np.testing.assert_allclose(net(x.transpose(1, 0, 2)), y.transpose(1, 0, 2), atol=1e-5)
    fixed = quantize(net, calibrate(net, x.transpose(1, 0, 2), word=12))
    assert np.abs(fixed(x.transpose(1, 0, 2)).to_float() - y.transpose(1, 0, 2)).max() < 0.1


def test_the_refusal_of_the_integers_says_this_way() -> None:
    with pytest.raises(UnsupportedModel, match=r"by quantised=False or `fixedpoint-nn import --floats`"):
        from_onnx(quantised())


def test_operators_on_integers_are_refused() -> None:
    constants = {"s": SCALE, "z": np.uint8(3), "w": np.ones((4, 2), np.uint8)}
    nodes = [node("QuantizeLinear", "x s z", "q"), node("QLinearMatMul", "q s z w s z s z", "y")]
    with pytest.raises(UnsupportedModel, match=r"'QLinearMatMul_y' .*: the operator is not supported"):
        from_onnx(model(nodes, {"x": ["N", 4]}, ["y"], constants), quantised=False)


def test_the_command_line_saves_it(tmp_path: Path) -> None:
    (tmp_path / "q.onnx").write_bytes(quantised())
    kept = tmp_path / "net.safetensors"
    assert main(["import", str(tmp_path / "q.onnx"), "--floats", "--out", str(kept), "-q"]) == 0
    x = weights(6, 5, 4)
    net: Any = from_onnx(quantised(), quantised=False)
    np.testing.assert_array_equal(load_model(kept)(x), net(x))
