# SPDX-License-Identifier: MIT
"""Curves, normalisations, comparisons and masks against ONNX Runtime, in floats; then in integers on the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from fixedpoint_nn import RtlModel, calibrate, layers, quantize
from fixedpoint_nn.interchange.onnx.reader import imported
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import check, model, node


def floats(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed + sum(shape)).standard_normal(shape).astype(np.float32)


CURVES: dict[str, dict[str, Any]] = {
    "Erf": {},
    "Exp": {},
    "Reciprocal": {},
    "Abs": {},
    "Softplus": {},
    "Softsign": {},
    "Sign": {},
    "Mish": {},
    "Selu": {"alpha": 1.5, "gamma": 1.25},
    "Celu": {"alpha": 0.75},
    "ThresholdedRelu": {"alpha": 0.25},
    "LogSoftmax": {"axis": 1},
}


@pytest.mark.parametrize("op", CURVES)
def test_functions_of_one_value(op: str) -> None:
    blob = model([node(op, "x", "y", **CURVES[op])], {"x": ["N", 4, 3]}, ["y"], opset=18)
    check(blob, {"x": floats(5, 4, 3)})


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate: str) -> None:
    blob = model([node("Gelu", "x", "y", approximate=approximate)], {"x": ["N", 9]}, ["y"], opset=20)
    check(blob, {"x": 3 * floats(20, 9)})


@pytest.mark.parametrize("op", ["Log", "Sqrt"])
def test_functions_of_positive_values(op: str) -> None:
    nodes = [node("Abs", "x", "a"), node("Add", "a c", "b"), node(op, "b", "y")]
    check(model(nodes, {"x": ["N", 4]}, ["y"], {"c": np.float32(0.1)}), {"x": floats(9, 4)})


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5, 2.0, 3.0, -0.5, -1.0, -2.0])
def test_powers(exponent: float) -> None:
    nodes = [node("Abs", "x", "a"), node("Add", "a c", "b"), node("Pow", "b e", "y")]
    constants = {"c": np.float32(0.3), "e": np.float32(exponent)}
    check(model(nodes, {"x": ["N", 4]}, ["y"], constants), {"x": floats(9, 4)})


def test_a_quotient_of_two_values() -> None:
    check(
        model([node("Div", "x z", "y")], {"x": ["N", 3], "z": ["N", 3]}, ["y"]),
        {"x": floats(7, 3), "z": floats(7, 3, seed=4)},
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.data(), st.booleans(), st.booleans())
def test_layer_normalisation(sizes: list[int], data: st.DataObject, biased: bool, turned: bool) -> None:
    axis = data.draw(st.integers(1, len(sizes)))
    shape = sizes[::-1] if turned else sizes
    nodes = (
        [node("Transpose", "x", "t", perm=[0, *range(len(sizes), 0, -1)])]
        if turned
        else [node("Identity", "x", "t")]
    )
    nodes.append(
        node(
            "LayerNormalization", "t g b" if biased else "t g", "y", axis=axis - len(sizes) - 1, epsilon=0.01
        )
    )
    own = shape[axis - 1 :]
    constants = {"g": floats(*own), "b": floats(*own, seed=5)}
    check(model(nodes, {"x": ["N", *sizes]}, ["y"], constants), {"x": floats(3, *sizes)})


@pytest.mark.parametrize("sizes", [(6,), (3, 4), (2, 3, 2)])
def test_normalisation_of_instances_and_groups(sizes: tuple[int, ...]) -> None:
    constants = {"g": floats(4), "b": floats(4, seed=5)}
    nodes = [node("InstanceNormalization", "x g b", "y", epsilon=0.01)]
    check(model(nodes, {"x": ["N", 4, *sizes]}, ["y"], constants), {"x": floats(3, 4, *sizes)})
    nodes = [node("GroupNormalization", "x g b", "y", num_groups=2, epsilon=0.01)]
    check(model(nodes, {"x": ["N", 4, *sizes]}, ["y"], constants, opset=21), {"x": floats(3, 4, *sizes)})


def test_norms_by_squares() -> None:
    check(
        model([node("LpNormalization", "x", "y", axis=1)], {"x": ["N", 4, 3]}, ["y"]), {"x": floats(3, 4, 3)}
    )
    with pytest.raises(UnsupportedModel, match="its attribute p is 1"):
        imported(model([node("LpNormalization", "x", "y", p=1)], {"x": ["N", 4]}, ["y"]))


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare"])
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", [[1], [2], [1, 3], [1, 2, 3]])
def test_reductions(op: str, keep: int, axes: list[int]) -> None:
    blob = model([node(op, "x", "y", axes=axes, keepdims=keep)], {"x": ["N", 2, 3, 4]}, ["y"])
    check(blob, {"x": floats(5, 2, 3, 4)})


@pytest.mark.parametrize("op", ["Greater", "Less", "GreaterOrEqual", "LessOrEqual"])
@pytest.mark.parametrize("other", ["c", "z"])
@pytest.mark.parametrize("turned", [False, True])
def test_choices_by_a_comparison(op: str, other: str, turned: bool) -> None:
    pair = f"{other} x" if turned else f"x {other}"
    nodes = [node(op, pair, "t"), node("Not", "t", "n"), node("Where", "n x z", "y")]
    z = floats(9, 4, seed=3)
    z[:3] = floats(9, 4)[:3]  # equal ones too
    blob = model(nodes, {"x": ["N", 4], "z": ["N", 4]}, ["y"], {"c": np.float32([0.5, 0, -0.5, 1])})
    check(blob, {"x": floats(9, 4), "z": z})


def test_truth_values_are_joined() -> None:
    nodes = [
        node("Greater", "x c", "a"), node("Less", "x d", "b"), node("And", "a b", "both"), node("Or", "a b", "any"),
        node("Cast", "both", "p", to=TensorProto.FLOAT), node("Cast", "any", "q", to=TensorProto.FLOAT),
        node("Sub", "q p", "y"),
    ]  # fmt: skip
    constants = {"c": np.float32(-0.25), "d": np.float32(0.25)}
    check(model(nodes, {"x": ["N", 30]}, ["y"], constants), {"x": floats(4, 30)})


@pytest.mark.parametrize("turned", [False, True])
def test_choices_by_a_constant(turned: bool) -> None:
    constants = {"m": np.array([[True, False, True], [False, True, True]]), "c": floats(2, 3)}
    names = "m c x" if turned else "m x c"
    check(model([node("Where", names, "y")], {"x": ["N", 2, 3]}, ["y"], constants), {"x": floats(4, 2, 3)})
    nodes = [node("Relu", "x", "r"), node("Where", "m x r" if turned else "m r x", "y")]
    check(model(nodes, {"x": ["N", 2, 3]}, ["y"], constants), {"x": floats(4, 2, 3)})


@pytest.mark.parametrize("how", ["added", "added with a bias", "chosen", "chosen by the other", "cast"])
def test_masks_before_a_softmax(how: str) -> None:
    kept = np.tril(np.ones((4, 4), bool))
    mask = np.where(kept, 0.5 if "bias" in how else 0, -np.inf).astype(np.float32)
    constants = {"k": kept, "h": ~kept, "m": mask, "low": np.float32(-np.inf)}
    first = {
        "chosen": node("Where", "k x low", "a"), "chosen by the other": node("Where", "h low x", "a"),
    }.get(how, node("Add", "x m", "a"))  # fmt: skip
    cast = node("Cast", "a", "b", to=TensorProto.FLOAT)
    rest = (
        [cast, node("Softmax", "b", "y", axis=-1)] if how == "cast" else [node("Softmax", "a", "y", axis=-1)]
    )
    blob = model([first, *rest], {"x": ["N", 2, 4, 4]}, ["y"], constants)
    found = check(blob, {"x": floats(3, 2, 4, 4)})
    assert any(
        isinstance(part.layer, layers.Softmax) and part.layer.mask is not None
        for part in found.net.parts.values()
    )


def test_a_row_of_which_the_mask_hides_all_has_no_shares() -> None:
    """As PyTorch writes a softmax without NaN, which is what 0 / 0 gives."""
    kept = np.tril(np.ones((4, 4), bool), -1)
    nodes = [node("Where", "k x low", "a"), node("Softmax", "a", "s", axis=-1)]
    nodes += [node("IsNaN", "s", "n"), node("Where", "n zero s", "y")]
    constants = {"k": kept, "low": np.float32(-np.inf), "zero": np.float32(0)}
    check(model(nodes, {"x": ["N", 2, 4, 4]}, ["y"], constants), {"x": floats(3, 2, 4, 4)})


def test_an_lstm_whose_gates_see_the_cell() -> None:
    constants = {
        name: floats(*shape) for name, shape in {"w": (2, 12, 4), "r": (2, 12, 3), "p": (2, 9)}.items()
    }
    nodes = [node("LSTM", "x w r _ _ _ _ p", "y", hidden_size=3, direction="bidirectional")]
    check(model(nodes, {"x": [5, "N", 4]}, ["y"], constants), {"x": floats(5, 6, 4)})


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("heads", [1, 2])
def test_attention_is_read_as_its_definition(causal: int, heads: int) -> None:
    shapes = {"q": ["N", 4, 5, 8], "k": ["N", heads, 6, 8], "v": ["N", heads, 6, 3]}
    blob = model([node("Attention", "q k v", "y", is_causal=causal)], shapes, ["y"], opset=23)
    check(blob, {name: floats(3, *shape[1:], seed=len(name)) for name, shape in shapes.items()})


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0])
def test_local_responses(size: int, beta: float) -> None:
    nodes = [node("LRN", "x", "y", size=size, alpha=0.25, beta=beta, bias=1.5)]
    check(model(nodes, {"x": ["N", 6, 3, 2]}, ["y"]), {"x": floats(4, 6, 3, 2)})


def test_constants_are_repeated_along_the_batch() -> None:
    nodes = [
        node("Shape", "x", "s", start=0, end=1), node("Concat", "s one size", "t", axis=0), node("Expand", "c t", "e"),
        node("Concat", "e x", "y", axis=1),
    ]  # fmt: skip
    constants = {"one": np.array([1]), "size": np.array([3]), "c": floats(1, 1, 3)}
    check(model(nodes, {"x": ["N", 2, 3]}, ["y"], constants), {"x": floats(4, 2, 3)})


@pytest.mark.parametrize("op", ["Expand", "Tile"])
def test_values_are_repeated(op: str) -> None:
    counts = np.array([1, 2, 3]) if op == "Tile" else np.array([1, 2, 4, 3])
    shape = (3, 2, 3) if op == "Tile" else (3, 2, 1, 3)
    blob = model([node(op, "x n", "y")], {"x": ["N", *shape[1:]]}, ["y"], {"n": counts})
    check(blob, {"x": floats(*shape)})


def test_rows_are_chosen_by_gather_nd() -> None:
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0]),
        node("GatherND", "t i", "g"),
        node("Transpose", "g", "y", perm=[1, 0]),
    ]
    blob = model(nodes, {"x": ["N", 4]}, ["y"], {"i": np.array([[3], [0], [-1]])})
    check(blob, {"x": floats(5, 4)})


def joined_heads(output: str) -> bytes:
    """Attention as it is exported: heads and batch are one axis for a while."""
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]), node("Reshape", "t apart", "h"),
        node("Transpose", "h", "q", perm=[1, 0, 2]), node("Transpose", "h", "k", perm=[1, 2, 0]),
        node("MatMul", "q k", "s"), node("Softmax", "s", "w", axis=-1), node("MatMul", "w q", "v"),
        node("Transpose", "v", "b", perm=[1, 0, 2]), node("Reshape", "b together", "c"),
        node("Transpose", "c", "z", perm=[1, 0, 2]), node("ReduceSum", "v axes", "all", keepdims=0),
    ]  # fmt: skip
    constants = {"apart": np.array([3, -1, 2]), "together": np.array([3, -1, 4]), "axes": np.array([0])}
    return model(nodes, {"x": ["N", 3, 4]}, [output], constants)


def test_a_batch_that_is_joined_with_heads() -> None:
    found = check(joined_heads("z"), {"x": floats(5, 3, 4)})
    x = floats(5, 3, 4)
    fixed = quantize(found.net, calibrate(found.net, x, word=10))
    assert np.array_equal(RtlModel(fixed)(x[:1]).ints, fixed(x[:1]).ints)


def test_a_result_that_has_no_axis_for_samples_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="joins the batch with other axes"):
        imported(joined_heads("all"))


@pytest.mark.parametrize("op", ["LayerNormalization", "Gelu", "Softplus", "Exp", "LogSoftmax"])
def test_the_engine_computes_the_same_integers(op: str) -> None:
    names = "x g" if op == "LayerNormalization" else "x"
    blob = model([node(op, names, "y")], {"x": ["N", 2, 6]}, ["y"], {"g": floats(6)}, opset=20)
    net, x = imported(blob).net, floats(16, 2, 6)
    fixed = quantize(net, calibrate(net, x, word=9))
    real = net(x)
    assert np.abs(fixed(x).to_float() - real).max() < 0.06 * np.abs(real).max()
    assert np.array_equal(RtlModel(fixed)(x[:2]).ints, fixed(x[:2]).ints)


def test_a_result_that_is_read_backwards_is_copied() -> None:
    nodes = [node("Relu", "x", "r"), node("Slice", "r f l a s", "y")]
    constants = {name: np.array([n]) for name, n in zip("flas", (-1, -100, 1, -1), strict=True)}
    net, x = imported(model(nodes, {"x": ["N", 5]}, ["y"], constants)).net, floats(8, 5)
    fixed = quantize(net, calibrate(net, x, word=8))
    model_on_engine = RtlModel(fixed)
    assert model_on_engine.lowered((5,)).output.stride >= 1
    assert np.array_equal(model_on_engine(x[:2]).ints, fixed(x[:2]).ints)


EQUATIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], bool]] = {
    "bqhd,bkhd->bhqk": ((5, 3, 2, 4), (5, 6, 2, 4), False),  # attention's scores
    "bhqk,bkhd->bqhd": ((5, 2, 3, 6), (5, 6, 2, 4), False),  # and what they weigh
    "bthd,hdo->bto": ((5, 3, 2, 4), (2, 4, 7), True),
    "bti,hdi->bthd": ((5, 3, 4), (2, 3, 4), True),
    "oi,bit->bot": ((5, 4, 3), (7, 4), True),
    "bij,bjk->bik": ((5, 3, 4), (5, 4, 2), False),
    " bi , bi -> b": ((5, 3), (5, 3), False),
    "bi,bj->bij": ((5, 3), (5, 2), False),
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum_is_one_product_of_matrices(equation: str) -> None:
    one, two, constant = EQUATIONS[equation]
    inputs: dict[str, Any] = {"a": ["N", *one[1:]]} | ({} if constant else {"b": ["N", *two[1:]]})
    swapped = equation.startswith("oi")
    nodes = [node("Einsum", "b a" if swapped else "a b", "y", equation=equation)]
    blob = model(nodes, inputs, ["y"], {"b": floats(*two)} if constant else {})
    check(blob, {"a": floats(*one, seed=1)} | ({} if constant else {"b": floats(*two, seed=2)}))


@pytest.mark.parametrize(
    ("equation", "reason"),
    [
        ("bii,bij->bj", "which is more than one product of matrices"),
        ("bij,bkj->bk", "which is more than one product of matrices"),
        ("...ij,...jk->...ik", "and products of two operands without an ellipsis are supported"),
    ],
)
def test_other_einsums_are_refused(equation: str, reason: str) -> None:
    nodes = [node("Einsum", "a b", "y", equation=equation)]
    with pytest.raises(UnsupportedModel, match=reason):
        imported(model(nodes, {"a": ["N", 3, 3], "b": ["N", 3, 3]}, ["y"]))


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("axis", [1, -1])
def test_running_sums(axis: int, reverse: int, exclusive: int) -> None:
    nodes = [node("CumSum", "x axis", "y", exclusive=exclusive, reverse=reverse)]
    blob = model(nodes, {"x": ["N", 4, 3]}, ["y"], {"axis": np.array(axis)})
    check(blob, {"x": floats(6, 4, 3)})


def test_running_sums_of_the_batch_and_of_long_axes_are_refused() -> None:
    for axis, shape, reason in (
        (0, [3], "adds along the batch axis"),
        (1, [1025], "along 1025 elements, and 1024 is"),
    ):
        with pytest.raises(UnsupportedModel, match=reason):
            imported(
                model([node("CumSum", "x axis", "y")], {"x": ["N", *shape]}, ["y"], {"axis": np.array(axis)})
            )
