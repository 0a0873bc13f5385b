# SPDX-License-Identifier: MIT
"""Tensor by tensor against the file's own runtime: equal, or the first tensor that differs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the runtime is in the `onnx` extra")
pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn.interchange.comparison import ComparedTensor, _margin, compare
from fixedpoint_nn.interchange.onnx.importing import from_onnx
from fixedpoint_nn.interchange.tflite.convert import TfliteConversion
from fixedpoint_nn.layers import Graph, Node, ReLU
from fixedpoint_nn.network.serialization import save
from fixedpoint_nn.numbers.fixed.array import FixedArray
from tests.interchange.onnx.models import INT64, TensorProto, model, node
from tests.support.tflite_networks import ds_cnn

RNG = np.random.default_rng(3)


def onnx_file(path: Path, batch: int | str = "n") -> Path:
    """A convolution with a constant that its channels absorb, a branch, and a matrix."""
    nodes = [
        node("Conv", "x k", "c", pads=[1, 1, 1, 1]),
        node("Mul", "c s", "m"),
        node("Add", "m t", "a"),
        node("Relu", "a", "r"),
        node("Add", "r a", "sum"),
        node("GlobalAveragePool", "sum", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f w", "y"),
    ]
    constants = {
        "k": RNG.standard_normal((4, 2, 3, 3)),
        "s": RNG.standard_normal((4, 1, 1)),
        "t": RNG.standard_normal((4, 1, 1)),
        "w": RNG.standard_normal((4, 3)),
    }
    floats = {name: value.astype(np.float32) for name, value in constants.items()}
    path.write_bytes(model(nodes, {"x": (batch, 2, 6, 5)}, ["y"], floats))
    return path


def images(count: int) -> Any:
    return RNG.standard_normal((count, 6, 5, 2)).astype(np.float32)


def tflite_file(path: Path) -> tuple[Path, Any]:
    blob, samples = ds_cnn(8)
    path.write_bytes(blob)
    return path, samples[:4]


@pytest.mark.parametrize("batch", ["n", 2])
def test_every_value_of_an_onnx_file_that_is_still_there_is_compared(
    tmp_path: Path, batch: int | str
) -> None:
    found = compare(onnx_file(tmp_path / "m.onnx", batch), images(6))
    assert found.equal and not found.exact
    assert [pair.name for pair in found.pairs] == [
        "a",
        "r",
        "sum",
        "p",
        "f",
        "y",
    ]  # c and m went into the product
    assert found.pairs[0].theirs.shape == (6, 4, 6, 5)
    assert str(found).startswith(
        "EQUAL to onnxruntime within 0.0001 of each tensor's largest value: 6 tensors"
    )


def test_the_first_tensor_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Graph.__call__

    def wrong(self: Graph, *given: Any) -> Any:
        parts = {
            name: replace(part, layer=lambda x: x) if isinstance(part.layer, ReLU) else part
            for name, part in self.parts.items()
        }
        return real(replace(self, parts=parts), *given)

    monkeypatch.setattr(Graph, "__call__", wrong)
    found = compare(onnx_file(tmp_path / "m.onnx"), images(3))
    assert found.first is not None and found.first.name == "r"
    place = tuple(found.first.differing[0])
    assert f"{found.first.theirs[place]} there, {found.first.ours[place]} here" in str(found)
    assert str(found).startswith("DIFFERENT from onnxruntime, first in r: ")


def test_a_tflite_file_is_compared_in_every_bit(tmp_path: Path) -> None:
    path, samples = tflite_file(tmp_path / "m.tflite")
    found = compare(path, samples)
    assert found.equal and found.exact and len(found.pairs) > 5
    assert all(pair.theirs.dtype == pair.ours.dtype == np.int64 for pair in found.pairs)


@dataclass(frozen=True)
class OneMore:
    """A layer that is wrong by one in one element."""

    layer: Any

    def __call__(self, *values: Any) -> Any:
        result = self.layer(*values)
        ints = result.ints.copy()
        ints.reshape(-1)[7] += 1
        return FixedArray.from_ints(ints, result.format)


def test_one_code_more_in_one_layer_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, samples = tflite_file(tmp_path / "m.tflite")
    names = [pair.name for pair in compare(path, samples).pairs]
    real = TfliteConversion.network

    def wrong(self: TfliteConversion) -> Any:
        network: Any = real(self)
        parts = dict(network.net.parts)
        third = list(parts)[3]
        parts[third] = replace(parts[third], layer=OneMore(parts[third].layer))
        return replace(network, net=replace(network.net, parts=parts))

    monkeypatch.setattr(TfliteConversion, "network", wrong)
    found = compare(path, samples)
    assert found.first is not None and found.first.name == names[2]
    assert len(found.first.differing) == 1


def test_whole_numbers_have_no_margin_and_an_output_without_a_node_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.onnx"
    table = {"e": RNG.standard_normal((5, 4)).astype(np.float32)}
    nodes = [node("Identity", "x", "same"), node("Gather", "e x", "y")]
    path.write_bytes(model(nodes, {"x": ["n", 3]}, ["y"], table, kinds={"x": INT64}))
    ids = RNG.integers(0, 5, (4, 3))
    assert [(pair.name, pair.margin > 0) for pair in compare(path, ids).pairs] == [("y", True)]
    assert _margin(ids) == 0
    path.write_bytes(model([node("Identity", "x", "y")], {"x": ["n", 3]}, ["y"]))
    with pytest.raises(ValueError, match="cannot be compared: no node gives it sample by sample"):
        compare(path, RNG.standard_normal((4, 3)).astype(np.float32))


@pytest.mark.parametrize("last", [[1, 2, 3], [2, 3]])
def test_a_file_of_one_sample_may_have_no_axis_for_it(last: list[int], tmp_path: Path) -> None:
    """As optimisers write a dense layer of a sequence: all rows of all samples are one matrix."""
    path = tmp_path / "one.onnx"
    nodes = [node("Reshape", "x rows", "r"), node("Gemm", "r w", "g"), node("Reshape", "g back", "y")]
    sizes = {
        "rows": np.array([2, 4]),
        "back": np.array(last),
        "w": RNG.standard_normal((4, 3)).astype(np.float32),
    }
    path.write_bytes(model(nodes, {"x": [1, 2, 4]}, ["y"], sizes))
    x = RNG.standard_normal((5, 2, 4)).astype(np.float32)
    assert compare(path, x).equal
    assert np.allclose(from_onnx(path)(x), x @ sizes["w"], atol=1e-5)
    assert from_onnx(path)(x).shape == (5, 2, 3)


def test_a_file_that_joins_samples_is_compared_sample_by_sample(tmp_path: Path) -> None:
    """As attention with several heads does, between two transposes."""
    path = tmp_path / "heads.onnx"
    shapes = {"joined": np.array([-1, 3, 2]), "apart": np.array([-1, 3, 4])}
    nodes = [
        node("Reshape", "x before", "split"),
        node("Transpose", "split", "heads", perm=[0, 2, 1, 3]),
        node("Reshape", "heads joined", "rows"),
        node("Transpose", "rows", "columns", perm=[0, 2, 1]),
        node("MatMul", "rows columns", "scores"),
        node("MatMul", "scores rows", "weighed"),
        node("Reshape", "weighed apart", "z"),
        node("Relu", "z", "y"),
    ]
    path.write_bytes(model(nodes, {"x": ["n", 3, 4]}, ["y"], shapes | {"before": np.array([-1, 3, 2, 2])}))
    found = compare(path, RNG.standard_normal((3, 3, 4)).astype(np.float32))
    assert found.equal and found.samples == 3
    assert {"scores", "weighed", "y"} <= {pair.name for pair in found.pairs}


def test_shapes_that_differ_and_values_that_are_not_numbers() -> None:
    assert "its shape is (2,) there and (3,) here" in str(ComparedTensor("t", np.zeros(2), np.zeros(3), 0.0))
    nan = np.array([np.nan, 1.0, np.inf])
    assert not len(ComparedTensor("t", nan, nan, 1e-4).differing)
    assert ComparedTensor("t", nan, np.array([np.nan, 1.0, -np.inf]), 1e-4).differing.tolist() == [[2]]
    assert ComparedTensor("t", np.array([1.0]), np.array([np.nan]), 1e-4).differing.tolist() == [[0]]
    assert ComparedTensor("t", np.array([1]), np.array([2]), 0).differing.tolist() == [[0]]


def test_samples_may_be_arranged_as_in_the_file(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "m.onnx", 4)
    x = images(4)
    as_filed, as_here = compare(path, x.transpose(0, 3, 1, 2)), compare(path, x)
    assert as_filed.equal and as_here.equal
    for one, other in zip(as_filed.pairs, as_here.pairs, strict=True):
        assert np.array_equal(one.theirs, other.theirs)


def test_what_cannot_be_compared_is_a_sentence(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "m.onnx", 4)
    with pytest.raises(ValueError, match="takes 4 samples at a time, and there are 6; give a multiple"):
        compare(path, images(6))
    with pytest.raises(ValueError, match=r"takes samples of shape \(6, 5, 2\), and these have \(5, 5, 2\)"):
        compare(path, images(4)[:, :5])
    with pytest.raises(ValueError, match="at least one sample"):
        compare(path, images(0))
    lite, samples = tflite_file(tmp_path / "m.tflite")
    with pytest.raises(ValueError, match="takes int8, and the samples are float32"):
        compare(lite, samples.astype(np.float32))
    save(Graph({"relu": Node(ReLU(), ("x",))}), tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match="this project's own file, and no other runtime reads it"):
        compare(tmp_path / "own.safetensors", images(1))


def quantised_file(path: Path) -> Path:
    """Two inputs, each quantised, added and quantised; scales are powers of two."""
    constants = {"s": np.float32(0.125), "t": np.float32(0.25), "z": np.int8(3)}
    nodes = [
        node("QuantizeLinear", "x s z", "a"),
        node("DequantizeLinear", "a s z", "b"),
        node("QuantizeLinear", "w t z", "c"),
        node("DequantizeLinear", "c t z", "d"),
        node("Add", "b d", "e"),
        node("QuantizeLinear", "e t z", "y"),
    ]
    kinds = {"y": TensorProto.INT8}
    path.write_bytes(model(nodes, {"x": ["n", 5], "w": ["n", 5]}, ["y"], constants, kinds=kinds))
    return path


def test_a_quantised_file_of_two_inputs_is_compared_in_every_bit(tmp_path: Path) -> None:
    path = quantised_file(tmp_path / "m.onnx")
    x, w = (RNG.normal(0, 9, (40, 5)).astype(np.float32) for _ in range(2))
    found = compare(path, (x, w))
    assert found.equal and found.exact and "y" in [pair.name for pair in found.pairs]
    assert [pair.name for pair in compare(path, (x, w), optimised=True).pairs] == ["y"]
    with pytest.raises(ValueError, match=r"has 2 inputs \(x, w\), and was given 1 arrays of samples"):
        compare(path, x)
    with pytest.raises(ValueError, match=r"different numbers of samples: \[40, 39\]"):
        compare(path, (x, w[1:]))


def test_a_sigmoid_near_zero_has_the_accuracy_of_its_runtime(tmp_path: Path) -> None:
    path = tmp_path / "sigmoid.onnx"
    path.write_bytes(model([node("Sigmoid", "x", "y")], {"x": ["n", 64]}, ["y"], {}))
    x = np.linspace(-16, -12, 64, dtype=np.float32)[np.newaxis]
    found = compare(path, x)
    assert found.equal, found
    assert found.pairs[0].margin == 2.0**-22
    wrong = replace(found.pairs[0], ours=found.pairs[0].ours + np.float32(2.0**-21))
    assert len(wrong.differing) == 64
