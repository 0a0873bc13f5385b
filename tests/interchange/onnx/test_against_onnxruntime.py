# SPDX-License-Identifier: MIT
"""Random models: the imported network computes what ONNX Runtime computes, up to the rounding of floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import FLOAT, INT64, check, model, node
from tests.interchange.onnx.random_models import RandomModel

size = st.integers(1, 3)


def floats(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(len(shape) + sum(shape)).standard_normal(shape).astype(np.float32)


@st.composite
def windows(draw: st.DrawFn, axes: int, largest: int = 3) -> dict[str, Any]:
    """Attributes of a convolution or pooling."""
    listed = st.lists(st.integers(1, largest), min_size=axes, max_size=axes)
    about: dict[str, Any] = {"kernel_shape": draw(listed), "strides": draw(listed), "dilations": draw(listed)}
    if draw(st.booleans()):
        about["pads"] = [
            draw(st.integers(0, k - 1)) for k in [*about["kernel_shape"], *about["kernel_shape"]]
        ]
    elif draw(st.booleans()):
        about["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
        if about["auto_pad"] != "VALID":
            about["dilations"] = [1] * axes  # ONNX Runtime refuses both together
            about["strides"] = list(
                map(min, about["strides"], about["kernel_shape"])
            )  # else it pads by less than 0
    return about


def fits(about: dict[str, Any], sizes: list[int]) -> bool:
    if "SAME" in about.get("auto_pad", ""):
        return True
    pads = about.get("pads", [0] * 2 * len(sizes))
    return all(
        n + pads[i] + pads[len(sizes) + i] >= (about["kernel_shape"][i] - 1) * about["dilations"][i] + 1
        for i, n in enumerate(sizes)
    )


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(1, 2), size, size, size)
def test_convolutions(data: st.DataObject, axes: int, groups: int, ins: int, outs: int) -> None:
    about = data.draw(windows(axes))
    sizes = data.draw(st.lists(st.integers(3, 9), min_size=axes, max_size=axes))
    assume(fits(about, sizes))
    weight = floats(outs * groups, ins, *about["kernel_shape"])
    constants = {"w": weight, "b": floats(outs * groups)}
    names = "x w b" if data.draw(st.booleans()) else "x w"
    blob = model(
        [node("Conv", names, "y", group=groups, **about)],
        {"x": ["N", ins * groups, *sizes]},
        ["y"],
        constants,
    )
    check(blob, {"x": floats(2, ins * groups, *sizes)})


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(1, 2), size, size, size)
def test_transposed_convolutions(data: st.DataObject, axes: int, groups: int, ins: int, outs: int) -> None:
    about = data.draw(windows(axes))
    sizes = data.draw(st.lists(st.integers(2, 5), min_size=axes, max_size=axes))
    about.pop("auto_pad", None)
    if data.draw(st.booleans()):
        about["output_padding"] = [
            data.draw(st.integers(0, s - 1))
            for s, d in zip(about["strides"], about["dilations"], strict=True)
        ]
    pads = about.get("pads", [0] * 2 * axes)
    assume(
        all(
            s * (n - 1) + (k - 1) * d + 1 - pads[i] - pads[axes + i] > 0
            for i, (s, n, k, d) in enumerate(
                zip(about["strides"], sizes, about["kernel_shape"], about["dilations"], strict=True)
            )
        )
    )
    constants = {"w": floats(ins * groups, outs, *about["kernel_shape"]), "b": floats(outs * groups)}
    blob = model(
        [node("ConvTranspose", "x w b", "y", group=groups, **about)],
        {"x": ["N", ins * groups, *sizes]},
        ["y"],
        constants,
    )
    check(blob, {"x": floats(2, ins * groups, *sizes)})


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 2), st.sampled_from(["MaxPool", "AveragePool"]), st.booleans())
def test_pooling(data: st.DataObject, axes: int, op: str, ceil: bool) -> None:
    about = data.draw(windows(axes))
    if op == "AveragePool":
        about["count_include_pad"] = int(data.draw(st.booleans()))
    if "auto_pad" not in about:
        about["ceil_mode"] = int(ceil)
    sizes = data.draw(st.lists(st.integers(3, 9), min_size=axes, max_size=axes))
    assume(fits(about, sizes))
    blob = model([node(op, "x", "y", **about)], {"x": ["N", 2, *sizes]}, ["y"], opset=19)
    check(blob, {"x": floats(2, 2, *sizes)})


@settings(max_examples=40, deadline=None)
@given(
    st.booleans(), st.booleans(), st.sampled_from([1.0, 0.5]), st.sampled_from([1.0, 2.0]), st.integers(0, 3)
)
def test_gemm(on_left: bool, on_right: bool, alpha: float, beta: float, bias: int) -> None:
    biases = [None, floats(4), floats(1, 4), floats(1)][bias]
    constants = {"w": floats(4, 3) if on_right else floats(3, 4)}
    if biases is not None:
        constants["b"] = biases
    about = {"transB": int(on_right), "alpha": alpha, "beta": beta}
    nodes = [node("Gemm", "x w b" if biases is not None else "x w", "y", **about)]
    if on_left:
        nodes = [
            node("Transpose", "x", "t"),
            node("Gemm", nodes[0].input[0].replace("x", "t") + " w", "y", transA=1, transB=int(on_right)),
        ]
    check(model(nodes, {"x": ["N", 3]}, ["y"], constants), {"x": floats(5, 3)})


@st.composite
def recurrent(draw: st.DrawFn) -> tuple[str, dict[str, Any], int]:
    op = draw(st.sampled_from(["LSTM", "GRU", "RNN"]))
    direction = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    about: dict[str, Any] = {"direction": direction, "hidden_size": 3}
    if op == "GRU":
        about["linear_before_reset"] = int(draw(st.booleans()))
    count = 2 if direction == "bidirectional" else 1
    if op == "RNN" and draw(st.booleans()):
        about["activations"] = ["Relu"] * count
    return op, about, count


@settings(max_examples=40, deadline=None)
@given(recurrent(), st.booleans(), st.sampled_from(["none", "constant", "given"]))
def test_recurrent_layers(case: tuple[str, dict[str, Any], int], biased: bool, states: str) -> None:
    op, about, count = case
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    constants = {"w": floats(count, gates * 3, 2), "r": floats(count, gates * 3, 3) / 2}
    if biased:
        constants["b"] = floats(count, 2 * gates * 3)
    names = ["x", "w", "r", "b" if biased else "_", "_"]
    inputs: dict[str, list[int | str | None]] = {"x": [5, "N", 2]}
    arrays = {"x": floats(5, 2, 2)}
    for state in ["h", "c"][: 2 if op == "LSTM" else 1]:
        names.append("_" if states == "none" else state)
        if states == "constant":
            constants[state] = np.repeat(floats(count, 1, 3), 2, 1)
        elif states == "given":
            inputs[state], arrays[state] = [count, "N", 3], floats(count, 2, 3)
    outputs = ["y", "last", "cell"][: 3 if op == "LSTM" else 2]
    blob = model([node(op, " ".join(names), " ".join(outputs), **about)], inputs, outputs, constants)
    check(blob, arrays)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Max", "Min"])
@pytest.mark.parametrize("shape", [(), (4,), (5, 1, 1), (1, 5, 3, 4), (3, 1)])
@pytest.mark.parametrize("swapped", [False, True])
def test_constants_broadcast_as_in_the_file(op: str, shape: tuple[int, ...], swapped: bool) -> None:
    if op == "Div" and swapped:
        return
    first = node("Conv", "x w", "a", pads=[1, 1, 1, 1])
    second = node(op, "c a" if swapped else "a c", "y")
    constants = {"w": floats(5, 2, 3, 3), "c": np.asarray(floats(*shape)) + np.float32(3)}
    blob = model([first, second], {"x": ["N", 2, 3, 4]}, ["y"], constants)
    check(blob, {"x": floats(2, 2, 3, 4)})


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Max", "Min"])
@pytest.mark.parametrize("axes", [(2, 3), (3,), (2,)])
def test_values_broadcast_as_in_the_file(op: str, axes: tuple[int, ...]) -> None:
    mean = node("ReduceMean", "a", "b", axes=axes, keepdims=1)
    nodes = [node("Conv", "x w", "a"), mean, node(op, "b a", "y")]
    blob = model(nodes, {"x": ["N", 2, 3, 4]}, ["y"], {"w": floats(5, 2, 1, 1)})
    check(blob, {"x": floats(2, 2, 3, 4)})


ORDERS = {
    "channels shuffled": [
        node("Reshape", "x s1", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "b s2", "y"),
    ],
    "images to rows of features": [
        node("Conv", "x w", "a"),
        node("Flatten", "a", "b"),
        node("Relu", "b", "y"),
    ],
    "images to sequences": [
        node("Conv", "x w", "a"),
        node("Transpose", "a", "b", perm=[0, 3, 1, 2]),
        node("Reshape", "b s3", "y"),
    ],
    "pixels to channels and back": [
        node("Conv", "x w", "a"),
        node("DepthToSpace", "a", "y", blocksize=2, mode="CRD"),
    ],
    "rows turned": [
        node("Conv", "x w", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 3, 1]),
        node("Softmax", "b", "y", axis=1),
    ],
    "columns": [node("Conv", "x w", "a"), node("MatMul", "a m", "y")],
    "columns on the left": [node("Conv", "x w", "a"), node("MatMul", "m2 a", "y")],
    "attention": [
        node("Reshape", "x s3b", "q"),
        node("Transpose", "q", "k", perm=[0, 2, 1]),
        node("MatMul", "q k", "a"),
        node("Softmax", "a", "b"),
        node("MatMul", "b q", "y"),
    ],
    "a batch of constant matrices": [node("Conv", "x w", "a"), node("MatMul", "a m4", "y")],
    "parts": [
        node("Conv", "x w", "a"),
        node("Split", "a sizes", "b c", axis=1),
        node("Slice", "c from to axes steps", "d"),
        node("Concat", "b d", "y", axis=1),
    ],
    "with a constant row": [node("Conv", "x w", "a"), node("Concat", "a rows", "y", axis=2)],
    "surrounded": [node("Conv", "x w", "a"), node("Pad", "a pads value", "y")],
    "mirrored": [node("Conv", "x w", "a"), node("Pad", "a pads", "y", mode="reflect")],
    "larger": [
        node("Conv", "x w", "a"),
        node(
            "Resize",
            "a _ scales",
            "y",
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
    ],
    "interpolated": [
        node("Conv", "x w", "a"),
        node("Resize", "a _ scales", "y", mode="linear", coordinate_transformation_mode="half_pixel"),
    ],
    "bicubic": [
        node("Conv", "x w", "a"),
        node("Resize", "a _ scales", "y", mode="cubic", coordinate_transformation_mode="align_corners"),
    ],
    "sum of features": [node("Conv", "x w", "a"), node("ReduceSum", "a ones", "y", keepdims=0)],
    "largest feature": [node("Conv", "x w", "a"), node("ArgMax", "a", "y", axis=1, keepdims=0)],
    "blocks to features": [node("Conv", "x w", "a"), node("SpaceToDepth", "a", "y", blocksize=2)],
    "squeezed": [
        node("GlobalAveragePool", "x", "a"),
        node("Squeeze", "a last", "b"),
        node("Unsqueeze", "b last", "c"),
        node("Mul", "x c", "y"),
    ],
    "one feature": [node("Conv", "x w", "a"), node("Gather", "a one", "y", axis=1)],
    "some features": [node("Conv", "x w", "a"), node("Gather", "a some", "y", axis=1)],
    "shapes that are computed": [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n"),
        node("Unsqueeze", "n zeros", "n1"),
        node("Concat", "n1 minus", "t", axis=0),
        node("Reshape", "x t", "y"),
    ],
}


@pytest.mark.parametrize("name", ORDERS)
def test_the_order_of_elements_is_that_of_the_file(name: str) -> None:
    constants = {
        "w": floats(4, 4, 1, 1),
        "m": floats(4, 3),
        "m2": floats(3, 4),
        "m4": floats(1, 4, 4, 3),
        "s1": np.array([0, 2, 2, 4, 4]),
        "s2": np.array([-1, 4, 4, 4]),
        "s3": np.array([0, 4, -1]),
        "s3b": np.array([0, 4, 16]),
        "sizes": np.array([1, 3]),
        "from": np.array([2, -1]),
        "to": np.array([0, -5]),
        "axes": np.array([1, 3]),
        "pads": np.array([0, 0, 1, 2, 0, 0, 2, 1]),
        "value": np.float32(0.5),
        "scales": np.array([1, 1, 2, 1.5], np.float32),
        "last": np.array([2, 3]),
        "one": np.array(2),
        "some": np.array([[3, -4], [0, 0]]),
        "ones": np.array([1]),
        "zero": np.array(0),
        "zeros": np.array([0]),
        "minus": np.array([-1]),
    }
    constants["steps"] = np.array([-1, -1])
    constants["rows"] = np.repeat(floats(1, 4, 1, 4), 2, 0)
    nodes = ORDERS[name]
    used = {key for part in nodes for key in part.input}
    batch: int | str = 2 if name == "with a constant row" else "N"
    kinds = {"y": INT64} if name == "largest feature" else {}
    used_ones = {k: v for k, v in constants.items() if k in used}
    blob = model(nodes, {"x": [batch, 4, 4, 4]}, ["y"], used_ones, kinds=kinds)
    check(blob, {"x": floats(2, 4, 4, 4)})


def test_token_ids_are_looked_up() -> None:
    nodes = [node("Gather", "table ids", "a"), node("MatMul", "a w", "y")]
    blob = model(
        nodes,
        {"ids": ["N", 5]},
        ["y"],
        {"table": floats(9, 4), "w": floats(4, 2)},
        kinds={"ids": INT64, "y": FLOAT},
    )
    check(blob, {"ids": np.arange(10).reshape(2, 5) % 9})


def test_an_old_softmax_is_one_over_all_axes_behind_it() -> None:
    check(model([node("Softmax", "x", "y")], {"x": ["N", 3, 4]}, ["y"], opset=11), {"x": floats(2, 3, 4)})


def test_attributes_of_old_operator_sets() -> None:
    nodes = [
        node("Clip", "x", "a", min=0.0, max=1.0),
        node("Unsqueeze", "a", "b", axes=[1]),
        node("Pad", "b", "c", pads=[0, 0, 1, 0, 0, 1], value=2.0),
        node("Slice", "c", "d", starts=[0], ends=[1], axes=[1]),
        node("Upsample", "d s", "y"),
    ]
    blob = model(nodes, {"x": ["N", 3]}, ["y"], {"s": np.array([1, 1, 2], np.float32)}, opset=9)
    check(blob, {"x": floats(2, 3)})


@pytest.mark.parametrize("groups", [1, 2])
def test_constants_behind_a_product_are_absorbed_by_it(groups: int) -> None:
    nodes = [
        node("Conv", "x w", "a", group=groups),
        node("Mul", "a scale", "b"),
        node("Add", "shift b", "c"),
        node("Mul", "two c", "y"),
    ]
    constants = {
        "w": floats(4, 2 // groups, 3, 3),
        "scale": floats(4, 1, 1),
        "shift": floats(1, 4, 1, 1),
        "two": np.float32(2),
    }
    found = check(model(nodes, {"x": ["N", 2, 5, 5]}, ["y"], constants), {"x": floats(2, 2, 5, 5)})
    assert list(found.net.parts) == ["Conv_a"] and found.outputs[0].node == "Conv_a"
    kept = check(
        model([*nodes, node("Relu", "b", "z")], {"x": ["N", 2, 5, 5]}, ["y", "z"], constants),
        {"x": floats(2, 2, 5, 5)},
    )
    names = {"Conv_a", "Add_c_constant", "Add_c", "Mul_y_constant", "Mul_y", "Relu_z"}
    assert set(kept.net.parts) == names  # what Relu takes too keeps its value


def test_random_graphs() -> None:
    computed = 0
    for seed in range(300):
        written = RandomModel(seed).written()
        if written is None:
            continue
        blob, shape = written
        try:
            check(blob, {"x": np.random.default_rng(seed).standard_normal(shape).astype(np.float32)})
            computed += 1
        except UnsupportedModel as refused:
            assert "batch" in str(refused)  # nothing else is refused of these
    assert computed > 250
