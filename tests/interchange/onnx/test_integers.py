# SPDX-License-Identifier: MIT
"""Quantised ONNX files: the integers of the imported network are those of ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

pytest.importorskip("onnxruntime", reason="the runtime is in the `onnx` extra")

from fixedpoint_nn import emit, from_onnx, load_model
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.interchange.onnx.file import read
from fixedpoint_nn.interchange.onnx.integers.conversion import ImportedIntegers
from fixedpoint_nn.interchange.onnx.integers.reader import imported_integers
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.serialization import save
from tests.interchange.onnx.models import model, node, reference
from tests.interchange.onnx.random_integers import RandomQDQ

KINDS = {np.int8: TensorProto.INT8, np.uint8: TensorProto.UINT8, np.int32: TensorProto.INT32}
seeds = st.integers(0, 1 << 30)


def computed(found: ImportedIntegers, *arrays: Any) -> Any:
    """The file's values of the only output."""
    given = [door.inward(array) for door, array in zip(found.inputs, arrays, strict=True)]
    (outlet,) = found.outputs
    return outlet.filed_values(found.net(*given).ints)


def check(blob: bytes, x: Any) -> ImportedIntegers:
    found = imported_integers(read(blob))
    (wanted,) = reference(blob, {"x": x})
    got = computed(found, x)
    assert got.shape == wanted.shape
    assert np.array_equal(got, wanted)
    return found


def codes(rng: np.random.Generator, kind: Any, *shape: int) -> Any:
    return rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, shape).astype(kind)


def zero(rng: np.random.Generator, kind: Any) -> Any:
    return codes(rng, kind, 1)[0]


def scale(rng: np.random.Generator, power: float, *shape: int) -> Any:
    return (
        np.float32(2.0**power * rng.uniform(0.5, 2, shape))
        if shape
        else np.float32(2.0**power * rng.uniform(0.5, 2))
    )


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from([np.int8, np.uint8]), st.booleans(), st.booleans(), st.sampled_from([1, 2]))
def test_qlinear_conv(seed: int, kind: Any, each: bool, depthwise: bool, axes: int) -> None:
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 5))
    groups = channels if depthwise else 1
    outputs = groups * int(rng.integers(1, 4))
    weight_kind = np.int8 if kind is np.int8 or each else (np.int8, np.uint8)[int(rng.integers(2))]
    kernel = [int(n) for n in rng.integers(1, 4, axes)]
    per = (outputs,) if each else ()
    constants = {
        "xs": scale(rng, -5), "xz": zero(rng, kind), "w": codes(rng, weight_kind, outputs, channels // groups, *kernel),
        "ws": scale(rng, -7, *per), "wz": np.zeros(per, weight_kind) if each else zero(rng, weight_kind),
        "ys": scale(rng, rng.uniform(-6, -1)), "yz": zero(rng, kind),
        "b": rng.integers(-9000, 9000, outputs).astype(np.int32),
    }  # fmt: skip
    pads = [int(n) for n in rng.integers(0, 2, 2 * axes)]
    about = {"pads": pads, "group": groups, "strides": [int(n) for n in rng.integers(1, 3, axes)]}
    bias = " b" if rng.random() < 0.7 else ""
    nodes = [node("QLinearConv", f"x xs xz w ws wz ys yz{bias}", "y", **about)]
    shape = [channels, *(int(n) for n in rng.integers(3, 8, axes))]
    blob = model(nodes, {"x": ["n", *shape]}, ["y"], constants, kinds={"x": KINDS[kind], "y": KINDS[kind]})
    check(blob, codes(rng, kind, 3, *shape))


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([np.int8, np.uint8]), st.booleans())
def test_qlinear_matmul(seed: int, kind: Any, each: bool) -> None:
    rng = np.random.default_rng(seed)
    inputs, outputs = (int(n) for n in rng.integers(1, 40, 2))
    per = (outputs,) if each else ()
    constants = {
        "xs": scale(rng, -5), "xz": zero(rng, kind), "w": codes(rng, np.int8, inputs, outputs),
        "ws": scale(rng, -7, *per), "wz": np.zeros(per, np.int8),
        "ys": scale(rng, rng.uniform(-6, 2)), "yz": zero(rng, kind),
    }  # fmt: skip
    nodes = [node("QLinearMatMul", "x xs xz w ws wz ys yz", "y")]
    blob = model(nodes, {"x": ["n", inputs]}, ["y"], constants, kinds={"x": KINDS[kind], "y": KINDS[kind]})
    check(blob, codes(rng, kind, 40, inputs))


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([np.int8, np.uint8]), st.booleans())
def test_products_of_integers_alone(seed: int, kind: Any, image: bool) -> None:
    rng = np.random.default_rng(seed)
    kinds = {"x": KINDS[kind], "y": TensorProto.INT32}
    if image:
        weight = codes(rng, np.uint8, 3, 2, 3, 3)
        nodes, shape = [node("ConvInteger", "x w xz wz", "y", pads=[1, 0, 1, 2])], (2, 5, 6)
        kind, kinds["x"] = np.uint8, TensorProto.UINT8  # the runtime has no other kernel
    else:
        weight = codes(rng, (np.int8, np.uint8)[int(rng.integers(2))] if kind is np.uint8 else np.int8, 9, 4)
        nodes, shape = [node("MatMulInteger", "x w xz wz", "y")], (9,)
    constants = {"w": weight, "xz": zero(rng, kind), "wz": zero(rng, weight.dtype.type)}
    check(model(nodes, {"x": ["n", *shape]}, ["y"], constants, kinds=kinds), codes(rng, kind, 4, *shape))


def test_two_computed_matrices_are_multiplied() -> None:
    rng = np.random.default_rng(0)
    constants = {
        "xs": np.float32(0.02), "xz": np.uint8(100), "zs": np.float32(0.03), "zz": np.uint8(7),
        "ys": np.float32(0.05), "yz": np.uint8(128),
    }  # fmt: skip
    nodes = [node("QLinearMatMul", "x xs xz z zs zz ys yz", "y")]
    kinds = dict.fromkeys("xyz", TensorProto.UINT8)
    blob = model(nodes, {"x": ["n", 3, 4], "z": ["n", 4, 5]}, ["y"], constants, kinds=kinds)
    x, z = codes(rng, np.uint8, 6, 3, 4), codes(rng, np.uint8, 6, 4, 5)
    (wanted,) = reference(blob, {"x": x, "z": z})
    assert np.array_equal(computed(imported_integers(read(blob)), x, z), wanted)


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_random_qdq_graphs_whose_float_sums_are_exact(seed: int) -> None:
    random = RandomQDQ(seed)
    blob, _ = random.written()
    x = np.random.default_rng(seed + 1).normal(0, 3, (4, *random.input)).astype(np.float32)
    check(blob, x)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_with_any_scales_codes_are_one_apart_at_most_and_only_where_sums_of_floats_were_rounded(
    seed: int,
) -> None:
    """One layer: what is not exactly equal lies within the rounding of a 32-bit sum of a tie."""
    random = RandomQDQ(seed, powers=False, count=1)
    blob, name = random.written()
    x = np.random.default_rng(seed + 1).normal(0, 3, (20, *random.input)).astype(np.float32)
    found = imported_integers(read(blob))
    got, wanted = computed(found, x), None
    proto = onnx.load_from_string(blob)
    last = next(n for n in proto.graph.node if n.output[0] == name)
    proto.graph.output.append(onnx.ValueInfoProto(name=last.input[0]))
    wanted, real = reference(proto.SerializeToString(), {"x": x})
    differing = got != wanted
    steps = real.astype(np.float64) / np.float64(random.constants[last.input[1]])
    assert (np.abs(got.astype(int) - wanted)[differing] == 1).all()
    assert (np.abs(np.abs(steps - np.rint(steps)) - 0.5)[differing] < 1e-4).all()
    assert differing.mean() < 0.01


def quantised_relu(constants: dict[str, Any], **about: Any) -> bytes:
    nodes = [
        node("QuantizeLinear", "x s z", "q", **about),
        node("DequantizeLinear", "q s z", "d"),
        node("Relu", "d", "r"),
        node("QuantizeLinear", "r t z", "y"),
    ]
    return model(nodes, {"x": ["n", 4]}, ["y"], constants, opset=21, kinds={"y": TensorProto.INT8})


def test_every_operand_of_a_quantiser_is_read_or_refused() -> None:
    good = {"s": np.float32(0.1), "t": np.float32(0.07), "z": np.int8(3)}
    x = np.random.default_rng(0).normal(0, 8, (50, 4)).astype(np.float32)
    check(quantised_relu(good), x)
    refused = [
        ({**good, "t": np.float32(-1)}, "its scales are not one positive number"),
        ({**good, "t": np.float32([0.1, 0.2])}, "it has 2 scales, and axis 1 has 4 elements"),
        ({**good, "z": np.array([1, 2, 3, 4], np.int8)}, "its channels have different zero points"),
    ]
    for constants, sentence in refused:
        with pytest.raises(ValueError, match=sentence):
            imported_integers(read(quantised_relu(constants)))


def test_floats_that_nothing_has_rounded_are_refused_with_the_way_out() -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("QuantizeLinear", "c s z", "y"),
    ]
    constants = {"w": np.ones((1, 1, 1, 1), np.float32), "s": np.float32(1), "z": np.int8(0)}
    blob = model(nodes, {"x": ["n", 1, 3, 3]}, ["y"], constants, kinds={"y": TensorProto.INT8})
    with pytest.raises(ValueError, match=r"'Conv_c' \(Conv\): its (operand is|weights are) floats"):
        imported_integers(read(blob))


def test_sums_that_32_bits_do_not_hold_are_refused() -> None:
    constants = {
        "xs": np.float32(1), "xz": np.uint8(0), "w": np.full((70000, 1), 127, np.int8), "ws": np.float32(1),
        "wz": np.int8(0), "ys": np.float32(1e4), "yz": np.uint8(0),
    }  # fmt: skip
    nodes = [node("QLinearMatMul", "x xs xz w ws wz ys yz", "y")]
    kinds = dict.fromkeys("xy", TensorProto.UINT8)
    blob = model(nodes, {"x": ["n", 70000]}, ["y"], constants, kinds=kinds)
    with pytest.raises(ValueError, match=r"its sums reach 2,266,950,000, and the operator's have 32 bits"):
        imported_integers(read(blob))


@pytest.mark.parametrize("seed", [3, 7, pytest.param(11, marks=pytest.mark.slow)])
def test_a_quantised_network_is_loaded_saved_and_computed_by_the_engine(seed: int, tmp_path: Path) -> None:
    random = RandomQDQ(seed, powers=False)
    blob, _ = random.written()
    (tmp_path / "m.onnx").write_bytes(blob)
    net = load_model(tmp_path / "m.onnx")
    found = from_onnx(blob)
    assert isinstance(net, Quantized) and isinstance(found, Quantized)
    save(net, tmp_path / "m.safetensors")
    images = imported_integers(read(blob)).inputs[0]
    x = images.inward(np.random.default_rng(0).normal(0, 3, (2, *random.input)).astype(np.float32))
    again = load_model(tmp_path / "m.safetensors")
    assert np.array_equal(again(x).ints, net(x).ints)
    emit(again, x[:1], tmp_path / "pack", corner_vectors=1)
    assert str(verify(tmp_path / "pack")).startswith("PASS: 2 vectors")
