# SPDX-License-Identifier: MIT
"""What is not read is named: every node of it, with its operator and the reason, in one message."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from fixedpoint_nn import Tensor, from_onnx
from fixedpoint_nn.interchange.onnx.model import OnnxError
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import INT64, model, node


def refused(
    nodes: list[Any], inputs: dict[str, Any], constants: dict[str, Any] | None = None, **more: Any
) -> str:
    with pytest.raises(UnsupportedModel) as error:
        from_onnx(model(nodes, inputs, ["y"], constants, **more))
    return str(error.value)


def test_all_nodes_that_are_not_read_stand_in_one_message() -> None:
    nodes = [
        node("Sinh", "x", "a", "first"),
        node("Relu", "a", "b", "fine"),
        node("LpPool", "b", "c", "norm", kernel_shape=[1, 1]),
        node("Clip", "x", "d", "also fine"),
        node("Hardmax", "c", "e", "hard"),
        helper.make_node("Special", ["e"], ["y"], name="mine", domain="com.example"),
    ]
    assert refused(nodes, {"x": ["N", 3]}) == (
        "the model has 4 nodes that cannot be imported: 'first' (Sinh): the operator is not supported; "
        "'norm' (LpPool): the operator is not supported; 'hard' (Hardmax): the operator is not supported; "
        "'mine' (Special): operators of the domain 'com.example' are not supported"
    )


MASK = "some elements of its input are minus infinity, a mask that only a Softmax right behind it may take"
W = np.ones((2, 2, 3, 3), np.float32)
LSTM = {"w": np.ones((1, 8, 3), np.float32), "r": np.ones((1, 8, 2), np.float32)}
CASES: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any], str]] = {
    "an attribute that is not read": (
        [node("LSTM", "x w r", "y", "net", hidden_size=2, clip=-1.0)],
        {"x": [4, "N", 3]},
        LSTM,
        "'net' (LSTM): its clip is -1.0, and a limit above 0 is needed",
    ),
    "an attribute of the future": (
        [node("Relu", "x", "y", "net", sharpness=2)],
        {"x": ["N", 3]},
        {},
        "'net' (Relu): its attribute sharpness is not supported",
    ),
    "activations": (
        [node("LSTM", "x w r", "y", "net", hidden_size=2, activations=["Sigmoid", "Softsign", "Tanh"])],
        {"x": [4, "N", 3]},
        LSTM,
        "'net' (LSTM): its activation is 'Softsign', and sigmoid, tanh, relu, softplus, leakyrelu, elu, affine, "
        "hardsigmoid, scaledtanh are supported",
    ),
    "lengths": (
        [node("LSTM", "x w r _ lengths", "y", "net", hidden_size=2)],
        {"x": [4, 2, 3]},
        {**LSTM, "lengths": np.array([4, 3], np.int32)},
        "'net' (LSTM): its sequences have the lengths [4, 3], and only full ones of 4 are supported",
    ),
    "weights that are computed": (
        [node("Conv", "x w", "y", "net")],
        {"x": ["N", 2, 5, 5], "w": [2, 2, 3, 3]},
        {},
        "'net' (Conv): its weights ('w') are computed, and must be constant",
    ),
    "3-D": (
        [node("MaxPool", "x", "y", "net", kernel_shape=[2, 2, 2])],
        {"x": ["N", 2, 5, 5, 5]},
        {},
        "'net' (MaxPool): it has 3 spatial axes, and 1 or 2 are supported",
    ),
    "a window that does not fit": (
        [node("Conv", "x w", "y", "net")],
        {"x": ["N", 2, 2, 5]},
        {"w": W},
        "'net' (Conv): a window of 3 does not fit into 2 elements padded by 0 and 0",
    ),
    "the batch joined with other axes": (
        [node("Reshape", "x s", "y", "net")],
        {"x": ["N", 2, 3]},
        {"s": np.array([-1, 3])},
        "'net' (Reshape): it joins the batch with other axes",
    ),
    "a batch of one in the shape": (
        [node("Reshape", "x s", "y", "net")],
        {"x": ["N", 2, 3]},
        {"s": np.array([1, 6])},
        "'net' (Reshape): it reshapes [batch, 2, 3] to [1, 6], which has other elements",
    ),
    "a mean over the batch": (
        [node("ReduceMean", "x", "y", "net", axes=[0])],
        {"x": ["N", 2]},
        {},
        "'net' (ReduceMean): it takes the mean over the batch",
    ),
    "softmax over the batch": (
        [node("Softmax", "x", "y", "net", axis=0)],
        {"x": ["N", 2]},
        {},
        "'net' (Softmax): it computes along the batch axis",
    ),
    "some samples": (
        [node("Slice", "x zero one", "y", "net")],
        {"x": ["N", 2]},
        {"zero": np.array([0]), "one": np.array([1])},
        "'net' (Slice): it takes some samples of the batch",
    ),
    "a bias for each sample": (
        [node("Add", "x b", "y", "net")],
        {"x": [2, 2]},
        {"b": np.array([[1, 2], [3, 4]], np.float32)},
        "'net' (Add): a constant differs from sample to sample",
    ),
    "an open axis": (
        [node("Relu", "x", "y", "net")],
        {"x": ["N", "height"]},
        {},
        "'x' (input): its axis 1 ('height') has no size in the file; give its shape: shapes={'x': (...)}, or "
        "--shape x=... on the command line",
    ),
    "indices of the largest": (
        [node("MaxPool", "x", "y where", "net", kernel_shape=[2, 2])],
        {"x": ["N", 2, 5, 5]},
        {},
        "'net' (MaxPool): its output 1 ('where') is not computed",
    ),
    "interpolation of a large image": (
        [node("Resize", "x _ s", "y", "net", mode="linear")],
        {"x": ["N", 2, 1500, 5]},
        {"s": np.array([1, 1, 2, 2], np.float32)},
        "'net' (Resize): it interpolates 1500 elements to 3000 along axis 2, which is too much",
    ),
    "dropout in training": (
        [node("Dropout", "x ratio on", "y", "net")],
        {"x": ["N", 3]},
        {"ratio": np.float32(0.5), "on": np.array(True)},
        "'net' (Dropout): its training_mode is on, so its result is random; export the model for inference",
    ),
    "a cast that rounds": (
        [node("Cast", "x", "y", "net", to=TensorProto.FLOAT16)],
        {"x": ["N", 3]},
        {},
        "'net' (Cast): it casts floats to FLOAT16, which rounds them",
    ),
    "a missing attribute": (
        [node("Concat", "x x", "y", "net")],
        {"x": ["N", 3]},
        {},
        "'net' (Concat): its attribute axis is missing",
    ),
    "a weight that is no number": (
        [node("MatMul", "x w", "y", "net")],
        {"x": ["N", 2]},
        {"w": np.array([[1, 2], [np.nan, 3]], np.float32)},
        "'net' (MatMul): a constant of it holds nan or infinity",
    ),
    "masks that no softmax takes": (
        [node("Add", "x m", "a", "mask"), node("Relu", "a", "y", "net")],
        {"x": ["N", 3]},
        {"m": np.array([0, -np.inf, 0], np.float32)},
        f"'net' (Relu): {MASK}",
    ),
    "a mask that was moved": (
        [
            node("Add", "x m", "a", "mask"),
            node("Transpose", "a", "t", perm=[0, 2, 1]),
            node("Softmax", "t", "y", "net"),
        ],
        {"x": ["N", 3, 3]},
        {"m": np.array([0, -np.inf, 0], np.float32)},
        f"'net' (Softmax): {MASK}",
    ),
    "a mask as an output": (
        [node("Add", "x m", "y", "mask")],
        {"x": ["N", 3]},
        {"m": np.array([0, -np.inf, 0], np.float32)},
        "'y' (output): it has elements of minus infinity",
    ),
    "an exponent": (
        [node("Pow", "x e", "y", "net")],
        {"x": ["N", 3]},
        {"e": np.float32(0.3)},
        "'net' (Pow): its exponents are [0.30000001192092896]",
    ),
    "normalisation over the batch": (
        [node("LayerNormalization", "x g", "y", "net", axis=0)],
        {"x": ["N", 3]},
        {"g": np.ones(3, np.float32)},
        "'net' (LayerNormalization): it normalises over the batch",
    ),
    "truth values as numbers": (
        [node("Greater", "x c", "t", "compare"), node("Add", "t c", "y", "net")],
        {"x": ["N", 3]},
        {"c": np.float32(0)},
        "'net' (Add): it computes with truth values; cast them to FLOAT before",
    ),
    "a constant output": (
        [node("Identity", "c", "y", "net")],
        {"x": ["N", 3]},
        {"c": np.float32(1)},
        "'y' (output): it is a constant",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_names_node_operator_and_reason(name: str) -> None:
    nodes, inputs, constants, reason = CASES[name]
    assert refused(nodes, inputs, constants) == f"the model has 1 node that cannot be imported: {reason}"


def test_whole_numbers_are_only_looked_up_with() -> None:
    assert refused([node("Add", "x x", "y", "net")], {"x": ["N", 3]}, kinds={"x": INT64, "y": INT64}) == (
        "the model has 1 node that cannot be imported: "
        "'net' (Add): it computes with whole numbers (int); cast them to FLOAT before"
    )


def test_open_axes_are_given_by_shapes() -> None:
    blob = model([node("Relu", "x", "y", "net")], {"x": ["N", "height"]}, ["y"])
    assert list(from_onnx(blob, shapes={"x": (1, 7)}).parts) == ["net"]
    with pytest.raises(OnnxError, match=re.escape("the model has no input 'z'; its inputs are x")):
        from_onnx(blob, shapes={"z": (1, 7)})
    with pytest.raises(OnnxError, match=re.escape("input 'x' has 2 axes, and shapes says 3")):
        from_onnx(blob, shapes={"x": (1, 7, 3)})


def test_nodes_that_no_chosen_output_needs_are_not_read() -> None:
    nodes = [
        node("Relu", "x", "y", "net"),
        node("Sinh", "x", "z", "other"),
        node("LpPool", "x", "nothing", "dead", kernel_shape=[1, 1]),
    ]
    blob = model(nodes, {"x": ["N", 3]}, ["y", "z"])
    assert list(from_onnx(blob, outputs=["y"]).parts) == ["net"]
    with pytest.raises(UnsupportedModel, match=r"1 node that cannot be imported: 'other' \(Sinh\)"):
        from_onnx(blob)
    with pytest.raises(OnnxError, match=re.escape("the model computes no value 'w'; its outputs are y, z")):
        from_onnx(blob, outputs=["w"])


def test_a_file_is_read_up_to_a_value_inside_of_it() -> None:
    nodes = [node("Relu", "x", "h", "net"), node("Sinh", "h", "y", "other")]
    blob = model(nodes, {"x": ["N", 3]}, ["y"])
    x = np.array([[-1.0, 0.5, 2.0]])
    assert np.array_equal(from_onnx(blob, outputs=["h"])(Tensor(x)).data, np.maximum(x, 0))


def test_a_model_of_one_sample_gets_a_batch_before_it() -> None:
    blob = model([node("Softmax", "x", "y", "net", axis=0)], {"x": [3, 2]}, ["y"])
    x = np.random.default_rng(0).standard_normal((5, 3, 2))
    y = from_onnx(blob, batched=False)(Tensor(x)).data
    assert y.shape == (5, 3, 2) and np.allclose(y.sum(1), 1)


def test_padding_by_nothing_is_nothing() -> None:
    blob = model(
        [
            node("Pad", "x p v", "y", "net"),
        ],
        {"x": ["N"]},
        ["y"],
        {"p": np.array([0, 0]), "v": np.float32(2)},
    )
    assert from_onnx(blob).parts == {}
