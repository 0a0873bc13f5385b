# SPDX-License-Identifier: MIT
"""A graph is a layer like any other: several paths, inputs and outputs, under the whole tool chain."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Tensor, calibrate, layers, quantize
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.layers import Add, Graph, Node, ReLU
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.quantized import Quantized, fixed_samples
from fixedpoint_nn.network.serialization import load, save
from fixedpoint_nn.network.tree import walk
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.precision.cost import bit_operations
from fixedpoint_nn.precision.observe import observe


def two_paths() -> Graph:
    i = Initialiser(3, np.float64)
    return Graph(
        {
            "conv": Node(i.conv(2, 4), ("image",)),
            "norm": Node(i.batch_norm(4), ("conv",)),
            "left": Node(ReLU(), ("norm",)),
            "right": Node(i.conv(4, 4, 1), ("norm",)),
            "sum": Node(Add(), ("left", "right")),
            "flat": Node(layers.Flatten(), ("sum",)),
            "head": Node(i.dense(4 * 4 * 4, 3), ("flat",)),
        },
        inputs=("image",),
    )


def two_inputs() -> Graph:
    i = Initialiser(4, np.float64)
    return Graph(
        {
            "embedding": Node(i.embedding(9, 4), ("id",)),
            "dense": Node(i.dense(3, 4), ("features",)),
            "sum": Node(Add(), ("embedding", "dense")),
            "relu": Node(ReLU(), ("sum",)),
        },
        inputs=("features", "id"),
        outputs=("relu", "sum"),
    )


def test_it_prints_as_a_table() -> None:
    assert str(two_paths()).splitlines() == [
        "Graph: image -> head",
        "node   layer      takes",
        "conv   Conv2D     image",
        "norm   BatchNorm  conv",
        "left   ReLU       norm",
        "right  Conv2D     norm",
        "sum    Add        left, right",
        "flat   Flatten    sum",
        "head   Dense      flat",
    ]


def test_its_leaves_have_the_names_of_its_nodes() -> None:
    assert [leaf.path for leaf in walk(two_paths())][:5] == [
        "conv.weight", "conv.bias", "conv.out", "conv.accumulator", "norm.gain",
    ]  # fmt: skip


def test_normalisation_is_folded_into_the_node_before_it_if_nobody_else_takes_that() -> None:
    x = Tensor(np.random.default_rng(0).standard_normal((2, 4, 4, 2)))
    net, folded = two_paths(), fold(two_paths())
    assert list(folded.parts) == ["conv", "left", "right", "sum", "flat", "head"]
    assert folded.parts["right"].takes == ("conv",)
    assert np.allclose(net(x).data, folded(x).data)
    shared = Graph(
        {**two_paths().parts, "more": Node(layers.Flatten(), ("conv",))}, ("image",), ("head", "more")
    )
    kept = fold(shared)
    assert type(kept.parts["norm"].layer).__name__ == "ScaleShift"
    for one, other in zip(shared(x), kept(x), strict=True):
        assert np.allclose(one.data, other.data)


def test_one_path_is_calibrated_quantised_and_equal_on_the_engine() -> None:
    x = np.random.default_rng(1).standard_normal((20, 4, 4, 2))
    net = two_paths()
    fixed = quantize(net, calibrate(net, x, 10))
    assert np.abs(fixed(x).to_float() - net(Tensor(x)).data).max() < 0.2
    lowered = lower(fixed.net, (4, 4, 2), fixed.input.format)
    ints = fixed_samples(fixed, x[:1])
    twin = Twin(lowered.config, lowered.images, lowered.input, ints.ints.reshape(-1))
    twin.run()
    assert np.array_equal(twin.memory[lowered.output.addresses()], fixed(x[:1]).ints.reshape(-1))


def test_several_inputs_and_outputs_are_calibrated_and_quantised(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x, ids = rng.standard_normal((700, 3)), rng.integers(0, 9, 700)
    net = two_inputs()
    plan = calibrate(net, (x, ids), 10)
    assert str(plan["input.id"]).startswith("ap_ufixed<4,4")
    fixed = quantize(net, plan)
    relu, total = fixed(x, ids)
    assert isinstance(relu, FixedArray) and relu.shape == (700, 4)
    for got, wanted in zip((relu, total), net(Tensor(x), ids), strict=True):
        assert np.abs(got.to_float() - wanted.data).max() < 0.05
    save(fixed, tmp_path / "net.safetensors")
    again = load(tmp_path / "net.safetensors")
    assert again.inputs == fixed.inputs and np.array_equal(again(x, ids)[1].ints, total.ints)


def test_a_copy_by_another_process_is_the_same() -> None:
    x = Tensor(np.ones((1, 4, 4, 2)))
    assert np.array_equal(pickle.loads(pickle.dumps(two_paths()))(x).data, two_paths()(x).data)


def test_a_traced_program_applies_to_several_outputs() -> None:
    graph = Graph({"relu": Node(ReLU(), ("x",)), "sum": Node(Add(), ("x", "relu"))}, outputs=("relu", "sum"))
    x = FixedArray.from_ints([[3, -4]], Q(4, 4))
    program = trace(graph, (2,), x.format)
    assert [list(y.ints[0]) for y in program(x)] == [[3, 0], [6, -4]]
    assert [node.place for node in program.nodes] == ["", "relu", "sum"]


def test_a_refusal_of_the_engine_names_the_node() -> None:
    with pytest.raises(LoweringError, match=r"^Layer 'tail' does not fit the engine: it searches along"):
        lower(Graph({"tail": Node(_Search(), ("x",))}), (3, 2), Q(4, 4))


def test_the_engine_takes_one_input_and_gives_one_output() -> None:
    for graph in (
        two_inputs(),
        Graph({"a": Node(ReLU(), ("x",)), "b": Node(ReLU(), ("a",))}, outputs=("a", "b")),
    ):
        with pytest.raises(
            LoweringError, match=r"^A program on the engine has one input and one output; join the others\.$"
        ):
            lower(graph, (3,), Q(4, 4))


def test_products_of_values_cost_what_they_multiply() -> None:
    x = np.random.default_rng(0).standard_normal((4, 5, 3))
    net = Graph(
        {"turned": Node(layers.Transpose((0, 2, 1)), ("x",)), "y": Node(layers.MatMul(), ("x", "turned"))}
    )
    assert bit_operations(observe(net, x), calibrate(net, x, 8)) == 5 * 5 * 3 * 8 * 8


class _Search:
    def __call__(self, x):  # type: ignore[no-untyped-def]
        return x.argmax(axis=1)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            lambda: Graph({"a": Node(ReLU(), ("b",)), "b": Node(ReLU(), ("a",))}),
            "node 'a' takes 'b', which no node before it computes; "
            "list nodes in the order of computation, without cycles",
        ),
        (
            lambda: Graph({"x": Node(ReLU(), ("x",))}),
            "node 'x' has the name of an input; give it another one",
        ),
        (
            lambda: Graph({"a": Node(ReLU(), ("x",))}, outputs=("b",)),
            "the output 'b' is no value of the graph; there are x, a",
        ),
        (lambda: Graph({}), "a graph has an output; give it a node, or outputs="),
        (
            lambda: Graph({"a": Node(ReLU(), ("x",))}, inputs=("x", "x")),
            "a graph's inputs have different names, unlike x, x",
        ),
        (
            lambda: two_inputs()(Tensor([[1.0]])),
            "the graph takes features, id, and was given 1 values",
        ),
        (
            lambda: two_paths()(Tensor(np.zeros((3, 3)))),
            "node 'conv': an image batch has the shape (batch, height, width, channels), not (3, 3)",
        ),
        (
            lambda: calibrate(two_inputs(), np.ones((2, 3))),
            "the network has 2 inputs; give a tuple of as many arrays of samples",
        ),
        (
            lambda: calibrate(two_inputs(), (np.ones((2, 3)), np.ones(3, int))),
            "the inputs have 2 and 3 samples; give equally many",
        ),
        (
            lambda: several()(np.ones((2, 3))),
            "the network takes 2 inputs, and was given 1",
        ),
        (
            lambda: several()(np.ones((2, 3)), np.ones(3, int)),
            "the inputs have different numbers of samples: [2, 3]",
        ),
        (
            lambda: fixed_samples(several(), np.ones((2, 3))),
            "the network takes 2 inputs; give a tuple of as many arrays of samples",
        ),
    ],
)
def test_what_cannot_be_is_answered_with_a_sentence(wrong, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(sentence)}$"):
        wrong()


def several() -> Quantized:
    return quantize(two_inputs(), calibrate(two_inputs(), (np.ones((2, 3)), np.ones(2, int))))


def test_it_takes_arrays_and_gives_arrays() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((2, 4, 4, 2))
    assert np.array_equal(two_paths()(image), two_paths()(Tensor(image)).data)
    features, ids = rng.random((5, 3)), rng.integers(0, 9, 5)
    found = two_inputs()(features, ids)
    expected = two_inputs()(Tensor(features), Tensor(ids.astype(float)))
    assert [type(y) for y in found] == [np.ndarray, np.ndarray]
    assert all(np.array_equal(y, z.data) for y, z in zip(found, expected, strict=True))
