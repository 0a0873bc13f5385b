# SPDX-License-Identifier: MIT
"""Quantised weights, or a whole quantised file, read as the float network that was quantised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")
pytest.importorskip("onnx", reason="float models are read by the `onnx` extra")

from fixedpoint_nn import from_tflite, load_model
from fixedpoint_nn.cli.program import main
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.support.tflite_models import ModelBuilder, options, run

RNG = np.random.default_rng(0)
SCALES = [0.25, 0.125, 0.5]
CONV = options("Conv2D", padding=0, strideH=1, strideW=1, fusedActivationFunction=1)
CODES = RNG.integers(-127, 128, (3, 3, 3, 2)).astype(np.int8)
BIAS = RNG.integers(-9, 10, 3)
SAMPLES = RNG.integers(-8, 9, (4, 4, 4, 2)).astype(np.float32)


def network(kind: str) -> bytes:
    """A convolution and a row of products: of floats, with weights of 8 bits, or all of 8 bits, with equal weights."""
    model = ModelBuilder()
    rows = np.arange(-48, 48).reshape(2, 48)
    if kind == "int8":
        x = model.input((1, 4, 4, 2), "int8", scale=1.0)
        weights = model.constant(CODES, scale=SCALES, axis=0)
        bias = model.constant(BIAS.astype(np.int32), scale=SCALES)
        c = model.operator("CONV_2D", [x, weights, bias], (1, 4, 4, 3), CONV, "int8", scale=8.0, zero=-128)
        dense = model.constant(rows.astype(np.int8), scale=0.5)
        about: dict[str, Any] = {"dtype": "int8", "scale": 256.0, "zero": 0}
    else:
        x = model.input((1, 4, 4, 2), "float32")
        scales = np.array(SCALES, np.float32)
        weights = (
            model.constant(CODES, scale=SCALES, axis=0)
            if kind == "hybrid"
            else model.constant((CODES * scales.reshape(3, 1, 1, 1)).astype(np.float32))
        )
        bias = model.constant((BIAS * scales).astype(np.float32))
        c = model.operator("CONV_2D", [x, weights, bias], (1, 4, 4, 3), CONV, dtype="float32")
        half = rows.astype(np.int8) if kind == "hybrid" else (rows / 2).astype(np.float32)
        dense = model.constant(half, scale=0.5) if kind == "hybrid" else model.constant(half)
        about = {"dtype": "float32"}
    y = model.operator("FULLY_CONNECTED", [c, dense], (1, 2), options("FullyConnected"), **about)
    return model.finish([y])


@pytest.mark.parametrize("kind", ["hybrid", "int8"])
def test_it_is_the_float_network_of_the_dequantised_weights(kind: str) -> None:
    net: Any = from_tflite(network(kind), quantised=False)
    wanted: Any = from_tflite(network("floats"))
    np.testing.assert_allclose(net(SAMPLES), wanted(SAMPLES), rtol=1e-6)
    np.testing.assert_allclose(wanted(SAMPLES), run(network("floats"), SAMPLES), rtol=1e-5)


def test_the_refusal_says_this_way(tmp_path: Path) -> None:
    path, kept = tmp_path / "hybrid.tflite", tmp_path / "net.safetensors"
    path.write_bytes(network("hybrid"))
    with pytest.raises(UnsupportedModel, match=r"quantised=False or `fixedpoint-nn import --floats`"):
        load_model(path)
    assert main(["import", str(path), "--floats", "--out", str(kept), "-q"]) == 0
    net, again = from_tflite(path, quantised=False), load_model(kept)
    np.testing.assert_array_equal(again(SAMPLES), net(SAMPLES))  # type: ignore[operator]
