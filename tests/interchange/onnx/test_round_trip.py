# SPDX-License-Identifier: MIT
"""A network that goes out as a file of any style comes in again with the same integers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from fixedpoint_nn import FixedArray, Q, calibrate, from_onnx, layers, load_model, quantize, to_onnx, zoo
from fixedpoint_nn.interchange.comparison import compare
from fixedpoint_nn.interchange.onnx.model import OnnxError
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.serialization import identity
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding

STYLES = ("qdq", "qonnx")
HELD = ("moons", "fashion_mlp", "lenet", "resnet8", "detector")
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
    "name",
    [
        "moons",
        "lenet",
        *(pytest.param(n, marks=pytest.mark.slow) for n in HELD if n not in ("moons", "lenet")),
    ],
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


@pytest.mark.parametrize(
    "name",
    [
        "moons", "nplm", "names_lstm", "mnist_gru", "lenet",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in (
                "bigram", "makemore_lstm", "shakespeare_lstm", "pump_gru", "pump_lstm", "mnist_lstm", "mnist_rnn",
                "fashion_mlp", "resnet8", "detector",
            )
        ),
    ],
)  # fmt: skip
def test_every_network_goes_out_in_doubles_and_comes_in(name: str, tmp_path: Path) -> None:
    fixed, x = quantised(name)
    x = x[:8]
    path = tmp_path / "net.onnx"
    to_onnx(fixed, path, shape=x.shape[1:])
    again, expected = load_model(path), fixed(x)
    assert identity(again) == identity(fixed)
    assert again(x).format == expected.format and np.array_equal(again(x).ints, expected.ints)
    found = compare(path, x)
    assert found.equal and found.exact


def two_ways() -> Quantized:
    """Two inputs, two outputs, a table and a loop."""
    i = Initialiser(3)
    net = layers.Graph(
        {
            "gru": layers.Node(i.gru(3, 2), ("a",)),
            "gelu": layers.Node(layers.Gelu(), ("b",)),
            "sum": layers.Node(layers.Add(), ("gru", "gelu")),
        },
        ("a", "b"),
        ("sum", "gelu"),
    )
    rng = np.random.default_rng(0)
    made: Quantized = quantize(
        net, calibrate(net, (rng.normal(size=(9, 4, 3)), rng.normal(size=(9, 4, 2))), word=8)
    )
    return made


def test_several_inputs_and_outputs_come_in_again(tmp_path: Path) -> None:
    fixed, path = two_ways(), tmp_path / "net.onnx"
    to_onnx(fixed, path, shape=((4, 3), (4, 2)))
    again = from_onnx(path)
    x = np.random.default_rng(1).normal(size=(5, 4, 3)), np.random.default_rng(2).normal(size=(5, 4, 2))
    assert isinstance(again, Quantized)
    assert all(np.array_equal(a.ints, b.ints) for a, b in zip(again(*x), fixed(*x), strict=True))
    assert compare(path, x).equal


def changed(path: Path, how: str) -> bytes:
    model = onnx.load(path)
    about = {entry.key: entry.value for entry in model.metadata_props}
    text = about["fixedpoint_nn"]
    match how:
        case "a node":
            next(part for part in model.graph.node if part.op_type == "Max").op_type = "Min"
        case "a constant":
            tensor = next(part for part in model.graph.initializer if part.dims and part.data_type == 11)
            tensor.raw_data = bytes(len(tensor.raw_data))
        case "a format":
            about["fixedpoint_nn"] = text.replace("HALF_EVEN", "FLOOR", 1)
        case "a layer":
            about["fixedpoint_nn"] = text.replace('"Gelu"', '"Tanh"', 1)
        case "no text":
            about["fixedpoint_nn"] = text[:-9]
        case "another class":
            about["fixedpoint_nn"] = text.replace('"Gelu"', '"os.system"', 1)
        case "a shape":
            about["fixedpoint_nn"] = text.replace("[[4, 3], [4, 2]]", "[[4000000, 3000000], [4, 2]]")
        case "no number":
            about["fixedpoint_nn"] = re.sub(r'("numbers": {"[^"]*": ")[^"]*', r"\1none", text)
    onnx.helper.set_model_props(model, about)
    blob: bytes = model.SerializeToString()
    return blob


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("a node", "its nodes are not those of the network that it describes"),
        ("a constant", "its nodes are not those of the network that it describes|its description"),
        ("a format", "its nodes are not those of the network that it describes"),
        ("a layer", "its description of the network is damaged: |its nodes are not those"),
        ("no text", "its description of the network is damaged: "),
        ("another class", "its description of the network is damaged: .*os.system"),
        ("a shape", "its description of the network is damaged: its shapes are"),
        ("no number", "its description of the network is damaged: "),
    ],
)
def test_a_description_is_believed_only_where_it_is_proven(how: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    to_onnx(two_ways(), path, shape=((4, 3), (4, 2)))
    assert isinstance(from_onnx(path.read_bytes()), Quantized)
    with pytest.raises(OnnxError, match=sentence):
        from_onnx(changed(path, how))


@dataclass(frozen=True)
class Twice:
    """A layer of somebody's own."""

    def __call__(self, x: Any) -> Any:
        return x + x


def test_a_network_of_somebodys_own_layers_goes_out_without_a_description(tmp_path: Path) -> None:
    to_onnx(Quantized(Twice(), Quantizer(Q(4, 3))), tmp_path / "net.onnx", shape=(3,))
    assert not onnx.load(tmp_path / "net.onnx").metadata_props


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
