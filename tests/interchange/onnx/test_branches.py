# SPDX-License-Identifier: MIT
"""What files leave open: branches, inputs that are settings, and sizes that samples say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from fixedpoint_nn import from_onnx
from fixedpoint_nn.interchange.comparison import compare
from fixedpoint_nn.interchange.onnx.reader import UnsupportedModel
from fixedpoint_nn.training.metrics import outputs

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
# Both Ifs use the name `inner` for a value of their own, and take `x` and `two` from outside.
BRANCHES = """
agraph (float[n, 1, 3] x, int64 rate) => (float[n, 3] y)
<int64 slow = {8000}, float two = {2.0}, int64[1] one = {1}>
{
    is_slow = Equal(rate, slow)
    scaled = If(is_slow) <
        then_branch = slow_one () => (float[n, 1, 3] a) { inner = Mul(x, two)  a = Relu(inner) },
        else_branch = fast_one () => (float[n, 1, 3] b) { inner = Add(x, two)  b = Tanh(inner) }
    >
    whole = Shape(scaled)
    at = Constant<value = int64 {1}>()
    size = Gather(whole, at)
    single = Constant<value = int64 {1}>()
    flat = Equal(size, single)
    y = If(flat) <
        then_branch = drop () => (float[n, 3] c) { inner = Squeeze(scaled, one)  c = Neg(inner) },
        else_branch = keep () => (float[n, 1, 3] d) { d = Identity(scaled) }
    >
}
"""


def branching() -> bytes:
    model: bytes = parser.parse_model(HEAD + BRANCHES).SerializeToString()
    return model


@pytest.mark.parametrize(
    ("rate", "curve"), [(8000, lambda x: np.maximum(2 * x, 0)), (16000, lambda x: np.tanh(x + 2))]
)
def test_an_if_takes_the_branch_of_its_constant_condition(rate: int, curve: Any, tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((5, 1, 3)).astype(np.float32)
    net = from_onnx(branching(), constants={"rate": rate})
    assert np.allclose(outputs(net, x), -curve(x)[:, 0], rtol=0, atol=1e-6)
    path = tmp_path / "model.onnx"
    path.write_bytes(branching())
    found = compare(path, x, constants={"rate": rate})
    assert found.equal, found
    assert [pair.name for pair in found.pairs] == ["scaled", "y"]


def test_a_branch_within_a_branch_takes_values_of_the_outer_one(tmp_path: Path) -> None:
    text = """
    agraph (float[n, 3] x, bool a, bool b) => (float[n, 3] y) {
        y = If(a) <
            then_branch = outer () => (float[n, 3] p) {
                mine = Abs(x)
                p = If(b) <
                    then_branch = same () => (float[n, 3] q) { q = Neg(mine) },
                    else_branch = other () => (float[n, 3] r) { mine_too = Add(mine, x)  r = Add(mine_too, mine) }
                >
            },
            else_branch = none () => (float[n, 3] s) { s = Identity(x) }
        >
    }
    """
    blob = parser.parse_model(HEAD + text).SerializeToString()
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    for a, b, expected in ((1, 1, -np.abs(x)), (1, 0, 2 * np.abs(x) + x), (0, 1, x)):
        net = from_onnx(blob, constants={"a": bool(a), "b": bool(b)})
        assert np.allclose(outputs(net, x), expected, rtol=0, atol=1e-6)


def test_a_setting_that_is_not_fixed_is_named() -> None:
    with pytest.raises(UnsupportedModel) as refused:
        from_onnx(branching())
    assert str(refused.value) == (
        "the model has 1 node that cannot be imported: 'Equal_0' (Equal): "
        "it compares an input with one number; fix the input: constants={'rate': ...}, or "
        "--constant rate=... on the command line"
    )


def test_a_computed_condition_is_refused() -> None:
    text = """
    agraph (float[2, 3] x) => (float[2, 3] y) <float zero = {0.0}> {
        total = ReduceSum<keepdims = 0>(x)
        positive = Greater(total, zero)
        y = If(positive) <
            then_branch = one () => (float[2, 3] a) { a = Relu(x) },
            else_branch = other () => (float[2, 3] b) { b = Neg(x) }
        >
    }
    """
    with pytest.raises(UnsupportedModel) as refused:
        from_onnx(parser.parse_model(HEAD + text).SerializeToString(), batched=False)
    assert str(refused.value) == (
        "the model has 1 node that cannot be imported: 'If_2' (If): "
        "its condition ('positive') is computed, and must be constant"
    )


def test_a_maximum_that_begins_with_minus_infinity_is_that_of_the_others() -> None:
    text = """
    agraph (float[n, 3] x) => (float[n, 3] y) {
        one = Constant<value_float = 1.0>()
        nothing = Constant<value_float = 0.0>()
        end = Div(one, nothing)
        start = Neg(end)
        above = Max(start, x)
        y = Min(above, end)
    }
    """
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    assert np.array_equal(outputs(from_onnx(parser.parse_model(HEAD + text).SerializeToString()), x), x)


def test_ids_are_compared_with_all_of_their_values(tmp_path: Path) -> None:
    text = """
    agraph (int64[n, 3] ids) => (float[n, 3, 4] y, float[n, 3, 4] z)
    <int64[4] all = {0, 1, 2, 3}, int64 depth = {4}, float[2] ends = {-1, 2}, int64[1] last = {-1}>
    {
        each = Unsqueeze(ids, last)
        same = Equal(each, all)
        y = Cast<to = 1>(same)
        z = OneHot(ids, depth, ends)
    }
    """
    path = tmp_path / "model.onnx"
    onnx.save(parser.parse_model(HEAD + text), path)
    ids = np.random.default_rng(0).integers(0, 4, (6, 3))
    found = compare(path, ids)
    assert found.equal, found
    y, z = from_onnx(path)(ids)
    assert np.array_equal(y, np.eye(4)[ids])
    assert np.array_equal(z, 3 * np.eye(4)[ids] - 1)


def test_an_axis_of_minus_one_is_an_open_size(tmp_path: Path) -> None:
    text = "agraph (float[n, 2, h, 4] x) => (float[n, 2, h, 4] y) { y = Relu(x)  }"
    model = parser.parse_model(HEAD + text)
    for info in (*model.graph.input, *model.graph.output):
        for dim in (info.type.tensor_type.shape.dim[0], info.type.tensor_type.shape.dim[2]):
            dim.dim_value = -1
    x = np.random.default_rng(0).standard_normal((3, 2, 5, 4)).astype(np.float32)
    net = from_onnx(model.SerializeToString(), shapes={"x": (1, 2, 5, 4)})
    assert np.array_equal(outputs(net, x), np.maximum(x, 0))


IMAGE = """
agraph (float[n, 3, height, width] x) => (float[n, 2, height, width] y)
<float[2, 3, 1, 1] k = {1, 2, 3, 4, 5, 6}> { c = Conv(x, k)  y = Relu(c) }
"""


def test_sizes_that_a_file_leaves_open_are_those_of_the_samples(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(parser.parse_model(HEAD + IMAGE), path)
    x = np.random.default_rng(0).standard_normal((3, 5, 4, 3)).astype(np.float32)  # channels last
    found = compare(path, x)
    assert found.equal, found
    assert found.pairs[-1].theirs.shape == (3, 2, 5, 4)


@pytest.mark.parametrize("batch", ["batch", "1"])
def test_the_batch_of_a_state_is_the_axis_of_the_size_of_another_inputs_batch(
    batch: str, tmp_path: Path
) -> None:
    text = """
    agraph (float[batch, 4] x, float[2, batch, 4] state) => (float[batch, 4] y, float[2, batch, 4] next)
    <int64 zero = {0}, int64 one = {1}, int64[1] front = {0}>
    {
        h = Gather<axis = 0>(state, zero)
        c = Gather<axis = 0>(state, one)
        y = Add(x, h)
        d = Mul(y, c)
        first = Unsqueeze(y, front)
        second = Unsqueeze(d, front)
        next = Concat<axis = 0>(first, second)
    }
    """
    path = tmp_path / "model.onnx"
    onnx.save(parser.parse_model(HEAD + text.replace("batch", batch)), path)
    rng = np.random.default_rng(0)
    x, state = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 4), (6, 2, 4)))
    found = compare(path, (x, state))
    assert found.equal, found
    y, following = from_onnx(path)(x, state)
    assert np.allclose(y, x + state[:, 0], rtol=0, atol=1e-6)
    assert following.shape == (6, 2, 4)
