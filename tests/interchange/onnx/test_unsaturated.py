# SPDX-License-Identifier: MIT
"""ONNX Runtime multiplies uint8 values by int8 weights exactly if the weights are moved to uint8."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from fixedpoint_nn.interchange.onnx.unsaturated import unsaturated
from tests.interchange.onnx.models import model

RNG = np.random.default_rng(1)
SCALE, ZERO = np.float32(0.5), np.uint8(3)


def ran(made: Any, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {"x": x})[0]
    return result


def integer_product(op: str, weights: np.ndarray, zero: np.ndarray | None, kind: int) -> Any:
    constants = {"w": weights, "xz": np.zeros((), np.uint8 if kind == TensorProto.UINT8 else np.int8)}
    names = ["x", "w", "xz"]
    if zero is not None:
        constants["wz"] = zero
        names.append("wz")
    shape = ("n", 4, 6, 6) if op == "ConvInteger" else ("n", 64)
    blob = model(
        [helper.make_node(op, names, ["y"])],
        {"x": shape},
        ["y"],
        constants,
        kinds={"x": kind, "y": TensorProto.INT32},
    )
    return onnx.load_from_string(blob)


@pytest.mark.parametrize("zero", [None, np.int8(0), np.int8(-7), np.int8(127)])
def test_products_of_integers_are_exact_at_the_largest_values(zero: Any) -> None:
    weights = RNG.integers(-128, 128, (64, 5)).astype(np.int8)
    weights[:, 0], weights[:, 1] = 127, -128
    made = unsaturated(integer_product("MatMulInteger", weights, zero, TensorProto.UINT8))
    x = RNG.integers(0, 256, (9, 64)).astype(np.uint8)
    x[0] = 255
    assert np.array_equal(ran(made, x), x.astype(np.int64) @ (weights.astype(np.int64) - int(zero or 0)))
    assert all(
        one.data_type != TensorProto.INT8
        for one in made.graph.initializer
        if one.name in made.graph.node[0].input
    )


def test_convolutions_of_integers_are_exact() -> None:
    weights = RNG.integers(100, 128, (3, 4, 3, 3)).astype(np.int8)
    x = RNG.integers(200, 256, (2, 4, 6, 6)).astype(np.uint8)
    slid = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3)).astype(np.int64)
    expected = np.einsum("nchwij,ocij->nohw", slid, weights.astype(np.int64))
    made = unsaturated(integer_product("ConvInteger", weights, None, TensorProto.UINT8))
    assert np.array_equal(ran(made, x), expected)


@pytest.mark.parametrize("scales", [np.float32(1.0), np.full(5, 1.0, np.float32)])
def test_a_quantised_product_keeps_its_weights_zero_points(scales: np.ndarray) -> None:
    weights = RNG.integers(-128, 128, (64, 5)).astype(np.int8)
    zeros = np.zeros(scales.shape, np.int8)
    constants = {
        "s": np.float32(1),
        "z": np.uint8(0),
        "w": weights,
        "ws": scales,
        "wz": zeros,
        "ys": np.float32(4096),
        "yz": ZERO,
    }
    names = ["x", "s", "z", "w", "ws", "wz", "ys", "yz"]
    blob = model(
        [helper.make_node("QLinearMatMul", names, ["y"])],
        {"x": ("n", 64)},
        ["y"],
        constants,
        kinds={"x": TensorProto.UINT8, "y": TensorProto.UINT8},
    )
    x = RNG.integers(0, 256, (9, 64)).astype(np.uint8)
    expected = np.clip(np.rint((x.astype(np.int64) @ weights) / 4096) + 3, 0, 255)
    assert np.array_equal(ran(unsaturated(onnx.load_from_string(blob)), x), expected)


def test_other_models_stay_as_they_are() -> None:
    weights = RNG.integers(-128, 128, (64, 5)).astype(np.int8)
    signed = integer_product("MatMulInteger", weights, None, TensorProto.INT8)
    assert unsaturated(signed) == signed
    unsigned = integer_product("MatMulInteger", weights.astype(np.uint8), None, TensorProto.UINT8)
    assert unsaturated(unsigned) == unsigned
    floats = onnx.load_from_string(model([helper.make_node("Relu", ["x"], ["y"])], {"x": ("n", 3)}, ["y"]))
    assert unsaturated(floats) is floats
