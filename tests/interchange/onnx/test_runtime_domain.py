# SPDX-License-Identifier: MIT
"""Operators of onnxruntime's own domain, as its static quantiser writes them: every integer is the runtime's."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fixedpoint_nn import RtlModel, from_onnx, load_model
from fixedpoint_nn.interchange.comparison import compare
from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.integers.reader import imported_integers
from fixedpoint_nn.interchange.onnx.runtime_domain import REASONS
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import node, reference

DOMAIN = "com.microsoft"
RNG = np.random.default_rng(5)
TYPES = {"uint8": (np.uint8, TensorProto.UINT8), "int8": (np.int8, TensorProto.INT8)}


def mine(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return node(op, inputs, outputs, domain=DOMAIN, **attributes)


def file_of(nodes: list[Any], inputs: dict[str, Any], constants: dict[str, Any], kind: int) -> bytes:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, kind, ["n", *s]) for n, s in inputs.items()],
        [helper.make_tensor_value_info("y", kind, None)],
        [onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    blob: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return blob


def check(blob: bytes, arrays: dict[str, Any]) -> None:
    """Every integer, of all samples at once."""
    found = imported_integers(read(blob))
    result = found.net(*(door.inward(arrays[door.name]) for door in found.inputs))
    (expected,) = reference(blob, arrays)
    assert np.array_equal(found.outputs[0].filed_values(result.ints), expected)


def scales(kind: str, count: int) -> dict[str, Any]:
    """Scales s0, s1, ... and zero points z0, z1, ..."""
    dtype = TYPES[kind][0]
    ends = np.iinfo(dtype)
    return {f"s{i}": np.float32(RNG.uniform(0.003, 0.1)) for i in range(count)} | {
        f"z{i}": dtype(RNG.integers(ends.min, ends.max + 1)) for i in range(count)
    }


def all_codes(kind: str) -> Any:
    ends = np.iinfo(TYPES[kind][0])
    return np.arange(ends.min, ends.max + 1, dtype=TYPES[kind][0])


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("number", range(3))
def test_all_pairs_of_codes_are_joined_as_the_runtime_does(op: str, kind: str, number: int) -> None:
    constants = scales(kind, 3)
    if op == "QLinearMul":
        constants["s2"] = np.float32(constants["s0"] * constants["s1"] * RNG.uniform(20, 200))
    blob = file_of(
        [mine(op, "a s0 z0 b s1 z1 s2 z2", "y")], {"a": [256], "b": [256]}, constants, TYPES[kind][1]
    )
    codes = all_codes(kind)
    check(blob, {"a": np.repeat(codes[:, np.newaxis], 256, 1), "b": np.repeat(codes[np.newaxis], 256, 0)})


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("op", "about"), [("QLinearSigmoid", {}), ("QLinearLeakyRelu", {"alpha": 0.1})])
def test_functions_of_one_code(op: str, about: dict[str, Any], kind: str) -> None:
    constants = scales(kind, 2)
    blob = file_of([mine(op, "x s0 z0 s1 z1", "y", **about)], {"x": [256]}, constants, TYPES[kind][1])
    check(blob, {"x": all_codes(kind)[np.newaxis]})


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 7)])
def test_means_of_images(kind: str, size: tuple[int, int]) -> None:
    x = RNG.choice(all_codes(kind), (30, 4, *size))
    nodes = [mine("QLinearGlobalAveragePool", "x s0 z0 s1 z1", "y", channels_last=0)]
    check(file_of(nodes, {"x": [4, *size]}, scales(kind, 2), TYPES[kind][1]), {"x": x})


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("one", "two"), [(0.25, 0.25), (0.25, 0.125), (0.25, 0.5)])
def test_means_of_windows_round_ties_with_the_zero_point(kind: str, one: float, two: float) -> None:
    """Of scales that are powers of two a fourth of the means are ties."""
    x = RNG.choice(all_codes(kind), (30, 4, 6, 4))
    nodes = [mine("QLinearAveragePool", "x s0 z0 s1 z1", "y", kernel_shape=[2, 2], strides=[2, 2])]
    constants = scales(kind, 2) | {"s0": np.float32(one), "s1": np.float32(two)}
    check(file_of(nodes, {"x": [4, 6, 4]}, constants, TYPES[kind][1]), {"x": x})


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("first", [True, False])
def test_a_value_and_what_is_computed_from_constants(op: str, first: bool) -> None:
    """Such as a scale of attention, which exporters compute from shapes."""
    constants = scales("int8", 3) | {"k": np.int8(90), "s2": np.float32(0.11)}
    order = "d s1 z1 x s0 z0" if first else "x s0 z0 d s1 z1"
    nodes = [node("Identity", "k", "d"), mine(op, f"{order} s2 z2", "y")]
    blob = file_of(nodes, {"x": [256]}, constants, TYPES["int8"][1])
    check(blob, {"x": all_codes("int8")[np.newaxis]})


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_constants_are_joined_as_the_runtime_does(op: str) -> None:
    constants = scales("int8", 4) | {"k": RNG.choice(all_codes("int8"), 256), "m": all_codes("int8")}
    constants["s2"] = np.float32(constants["s0"] * constants["s1"] * 100 if op == "QLinearMul" else 0.11)
    nodes = [mine(op, "k s0 z0 m s1 z1 s2 z2", "d"), mine("QLinearAdd", "x s3 z3 d s2 z2 s3 z3", "y")]
    blob = file_of(nodes, {"x": [256]}, constants, TYPES["int8"][1])
    check(blob, {"x": RNG.choice(all_codes("int8"), (40, 256))})


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("shape", [(5,), (1, 3, 5), (3, 1)])
def test_a_value_and_codes_of_each_place(op: str, first: bool, shape: tuple[int, ...]) -> None:
    """Such as an embedding of positions."""
    codes = RNG.choice(all_codes("int8"), shape)
    constants = scales("int8", 3) | {"k": codes, "s2": np.float32(0.11)}
    order = "k s1 z1 x s0 z0" if first else "x s0 z0 k s1 z1"
    blob = file_of([mine(op, f"{order} s2 z2", "y")], {"x": [3, 5]}, constants, TYPES["int8"][1])
    check(blob, {"x": RNG.choice(all_codes("int8"), (90, 3, 5))})


@pytest.mark.parametrize("kind", TYPES)
def test_joined_channels(kind: str) -> None:
    nodes = [mine("QLinearConcat", "s2 z2 a s0 z0 b s1 z1", "y", axis=1)]
    arrays = {"a": RNG.choice(all_codes(kind), (9, 3, 4)), "b": RNG.choice(all_codes(kind), (9, 2, 4))}
    check(file_of(nodes, {"a": [3, 4], "b": [2, 4]}, scales(kind, 3), TYPES[kind][1]), arrays)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("turned", [0, 1])
def test_products(kind: str, per_channel: bool, turned: int) -> None:
    constants = scales(kind, 2) | {
        "w": RNG.integers(-128, 128, (4, 6) if turned else (6, 4)).astype(np.int8),
        "t": RNG.uniform(0.01, 0.1, 4).astype(np.float32) if per_channel else np.float32(0.02),
        "u": np.zeros(4, np.int8) if per_channel else np.int8(0),
        "c": RNG.integers(-5000, 5000, 4).astype(np.int32),
    }
    nodes = [mine("QGemm", "x s0 z0 w t u c s1 z1", "y", transB=turned, alpha=1.0)]
    blob = file_of(nodes, {"x": [6]}, constants, TYPES[kind][1])
    check(blob, {"x": RNG.choice(all_codes(kind), (500, 6))})


@pytest.mark.parametrize(
    ("op", "names", "reason"),
    [
        (
            "DynamicQuantizeMatMul",
            "f w s0 z0",
            REASONS["QAttention"],
        ),
        ("QAttention", "x w c s0 s1", REASONS["QAttention"]),
    ],
)
def test_what_has_no_fixed_integers_is_refused_with_the_reason(op: str, names: str, reason: str) -> None:
    constants = scales("uint8", 2) | {"w": np.ones((4, 4), np.uint8), "c": np.ones(4, np.float32)}
    nodes = [node("DequantizeLinear", "x s0 z0", "f"), mine(op, names, "y")]
    with pytest.raises(UnsupportedModel, match=reason):
        from_onnx(file_of(nodes, {"x": [4]}, constants, TensorProto.UINT8))


def net_of_all(torch: Any) -> Any:
    """Convolutions, a sum and a product of two values, curves, pooling, joined channels, a matrix."""
    nn, functional = torch.nn, torch.nn.functional

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
            self.gate, self.head = nn.Conv2d(8, 8, 1), nn.Linear(16, 5)

        def forward(self, x: Any) -> Any:
            x = torch.relu(self.first(x))
            y = functional.leaky_relu(self.second(x), 0.1) + x
            y = y * torch.sigmoid(self.gate(y))
            both = torch.cat([functional.avg_pool2d(y, 2), functional.max_pool2d(x, 2)], 1)
            return self.head(functional.adaptive_avg_pool2d(both, 1).flatten(1))

    torch.manual_seed(0)
    return Net().eval()


@pytest.mark.peers
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_network_of_the_runtimes_own_quantiser(kind: str, per_channel: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is in the `peers` extra")
    quantization = pytest.importorskip("onnxruntime.quantization")
    x = np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype(np.float32)
    about = {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's age
        torch.onnx.export(net_of_all(torch), (torch.tensor(x[:1]),), tmp_path / "f.onnx", **about)

    class Samples(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.left: Iterator[Any] = iter({"x": x[i : i + 1]} for i in range(len(x)))

        def get_next(self) -> Any:
            return next(self.left, None)

    logging.disable(logging.WARNING)
    quantization.quantize_static(
        tmp_path / "f.onnx", tmp_path / "q.onnx", Samples(), quant_format=quantization.QuantFormat.QOperator,
        activation_type=getattr(quantization.QuantType, {"uint8": "QUInt8", "int8": "QInt8"}[kind]),
        weight_type=quantization.QuantType.QInt8, per_channel=per_channel,
    )  # fmt: skip
    logging.disable(logging.NOTSET)
    used = {part.op_type for part in onnx.load(tmp_path / "q.onnx").graph.node}
    assert {"QLinearAdd", "QLinearMul", "QLinearAveragePool", "QLinearConcat", "QGemm"} <= used
    samples = np.random.default_rng(1).standard_normal((50, 8, 8, 3)).astype(np.float32)
    for optimised in (False, True):
        found = compare(tmp_path / "q.onnx", samples, optimised=optimised)
        assert found.equal and found.exact, found
    net = load_model(tmp_path / "q.onnx")
    assert np.array_equal(RtlModel(net)(samples[:1]).ints, net(samples[:1]).ints)


def test_a_bias_is_added_as_the_kernel_adds_it() -> None:
    """Dequantised, added and rounded, some of these codes would be others."""
    codes = all_codes("uint8")
    constants = {"k": codes, "s0": np.float32(0.0013), "z0": np.uint8(120), "s1": np.float32(0.0147)}
    constants |= {"z1": np.uint8(124), "s2": np.float32(0.015), "z2": np.uint8(119)}
    blob = file_of(
        [mine("QLinearAdd", "k s0 z0 x s1 z1 s2 z2", "y")], {"x": [256]}, constants, TYPES["uint8"][1]
    )
    x = np.repeat(codes[:, np.newaxis], 256, 1)
    check(blob, {"x": x})
    real = (codes - np.float32(120)) * constants["s0"] + (x - np.float32(124)) * constants["s1"]
    plain = np.clip(np.rint(real / constants["s2"]) + 119, 0, 255)
    assert (plain != reference(blob, {"x": x})[0]).any()
