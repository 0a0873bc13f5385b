# SPDX-License-Identifier: MIT
"""A network that goes out as a file of any style comes in again with the same integers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from fixedpoint_nn import FixedArray, Q, calibrate, from_onnx, layers, load_model, quantize, to_onnx, zoo
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding

STYLES = ("qdq", "qonnx")
HELD = ("moons", "fashion_mlp", "lenet", "resnet8")
TABLES = {
    "nplm": "an embedding",
    "names_lstm": "an embedding",
    "mnist_gru": "a recurrent layer",
    "bigram": "an embedding",
}


def quantised(name: str, word: int = 8) -> tuple[Quantized, Any]:
    net, x = zoo.load(name), zoo.samples(name, 40)
    return quantize(net, calibrate(net, x, word=word)), x


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "name", ["moons", "lenet", *(pytest.param(n, marks=pytest.mark.slow) for n in HELD[1::2])]
)
@pytest.mark.parametrize("word", [8, pytest.param(6, marks=pytest.mark.slow)])
def test_a_network_of_the_zoo_goes_out_and_comes_in(name: str, style: str, word: int, tmp_path: Path) -> None:
    fixed, x = quantised(name, word)
    path = tmp_path / "net.onnx"
    to_onnx(fixed, path, style=style, shape=x.shape[1:])
    again, expected = load_model(path), fixed(x)
    assert isinstance(again, Quantized)
    assert again(x).format == expected.format
    assert np.array_equal(again(x).ints, expected.ints)
    if style == "qdq":
        session = onnxruntime.InferenceSession(str(path), _plain(), providers=["CPUExecutionProvider"])
        (theirs,) = session.run(None, {"x": x.astype(np.float32)})
        assert np.array_equal(theirs, expected.to_float())


def _plain() -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return options


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", TABLES)
def test_what_a_style_does_not_have_is_named(name: str, style: str, tmp_path: Path) -> None:
    fixed, x = quantised(name)
    with pytest.raises(
        ValueError, match=f"style '{style}': it has {TABLES[name]} in '.*', which the style does not"
    ):
        to_onnx(fixed, tmp_path / "net.onnx", style=style, shape=x.shape[1:])
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC, Overflow.WRAP])
def test_roundings_that_qonnx_has(rounding: Rounding, overflow: Overflow, tmp_path: Path) -> None:
    weight = FixedArray.from_ints(np.array([[3, -5], [1, 7]]), Q(4, 3))
    out = Quantizer(Q(3, 2), rounding, overflow, name="out")
    fixed = Quantized(layers.Dense(weight, out=out), Quantizer(Q(3, 4), name="in"))
    path = tmp_path / "net.onnx"
    if rounding in (Rounding.HALF_UP, Rounding.HALF_DOWN) or overflow is Overflow.WRAP:
        with pytest.raises(ValueError, match="in 'out', "):
            to_onnx(fixed, path, style="qonnx")
        return
    to_onnx(fixed, path, style="qonnx")
    x = np.random.default_rng(0).normal(0, 3, (300, 2))
    again = from_onnx(path)
    assert np.array_equal(again(x).ints, fixed(x).ints)


@pytest.mark.parametrize(
    ("weight_bits", "out", "sentence"),
    [
        (8, Quantizer(Q(20, 0), name="out"), "it has 20 bits in 'out', and the style holds 16"),
        (8, Quantizer(Q(8, 0), Rounding.FLOOR, name="out"), "it rounds FLOOR in 'out', and "),
        (
            8,
            Quantizer(Q(8, 0), overflow=Overflow.ZERO, name="out"),
            "it has the overflow ZERO in 'out', and ",
        ),
        (
            20,
            Quantizer(Q(8, 0), name="out"),
            "bits in 'dot', and a 32-bit float holds 24; give it fewer bits, or take ",
        ),
    ],
)
def test_what_qdq_does_not_hold(weight_bits: int, out: Quantizer, sentence: str, tmp_path: Path) -> None:
    weight = FixedArray.from_ints(np.full((3, 2), (1 << (weight_bits - 1)) - 1), Q(weight_bits, 0))
    fixed = Quantized(layers.Dense(weight, out=out), Quantizer(Q(8, 0)))
    with pytest.raises(ValueError, match=f"cannot be written in the style 'qdq': .*{re.escape(sentence)}"):
        to_onnx(fixed, tmp_path / "net.onnx", style="qdq")
