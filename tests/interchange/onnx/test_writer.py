# SPDX-License-Identifier: MIT
"""What is written as ONNX gives the integers of the network in ONNX Runtime, whatever it optimises."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from fixedpoint_nn import FixedArray, Q, calibrate, layers, quantize, to_onnx
from fixedpoint_nn.layers import Graph, Node
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from tests.layers.test_graph import two_inputs
from tests.support.battery import CASES, input_quantizer, quantized_case


def run(path: Path, *xs: np.ndarray, optimised: bool = True) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [argument.name for argument in session.get_inputs()]
    return session.run(None, dict(zip(names, xs, strict=True)))


@pytest.mark.parametrize("name", CASES)
def test_every_layer_is_written_and_computes_the_same_integers(name: str, tmp_path: Path) -> None:
    *_, net, format = quantized_case(name, seed=3)
    case = CASES[name]
    fixed = Quantized(net, input_quantizer(case))
    assert fixed.input.format == format
    x = case.floats(5)
    to_onnx(fixed, tmp_path / "net.onnx", shape=case.shape)
    expected = fixed(x).to_float()
    for optimised in (False, True):
        (y,) = run(tmp_path / "net.onnx", x, optimised=optimised)
        assert y.shape == expected.shape and np.array_equal(y, expected)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
def test_every_rounding_and_overflow_is_written(
    rounding: Rounding, overflow: Overflow, tmp_path: Path
) -> None:
    quantizer = Quantizer(Q(3, 2), rounding, overflow, name="out")
    fixed = Quantized(layers.ReLU(), quantizer)
    to_onnx(fixed, tmp_path / "net.onnx", shape=(500,))
    edges = [0.125, 0.375, 0.49999999999999994 / 4, 1e-300, 3.875, 3.876, -4.125, 100.25, -100.75]
    x = np.array([*edges, *(-np.array(edges)), *np.arange(-241, 241) / 16])[np.newaxis]
    assert x.shape == (1, 500)
    both = Quantized(_Both(quantizer), Quantizer(Q(12, 20), name="in"))
    to_onnx(both, tmp_path / "both.onnx", shape=(500,))
    for path, net in ((tmp_path / "net.onnx", fixed), (tmp_path / "both.onnx", both)):
        assert np.array_equal(run(path, x)[0], net(x).to_float())


class _Both:
    def __init__(self, quantizer: Quantizer) -> None:
        self.quantizer = quantizer

    def __call__(self, x):  # type: ignore[no-untyped-def]
        return x.cast(self.quantizer).concat([(-x).cast(self.quantizer)])


def test_several_inputs_and_outputs_are_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, ids = rng.standard_normal((30, 3)), rng.integers(0, 9, 30)
    fixed = quantize(two_inputs(), calibrate(two_inputs(), (x, ids)))
    to_onnx(fixed, tmp_path / "net.onnx", shape=[(3,), ()])
    for y, wanted in zip(run(tmp_path / "net.onnx", x, ids.astype(float)), fixed(x, ids), strict=True):
        assert np.array_equal(y, wanted.to_float())


def dense(bits: int = 8, **more: object) -> Quantized:
    weight = FixedArray.from_ints(np.ones((3, 2), np.int64), Q(bits, 0))
    return Quantized(layers.Dense(weight, **more), Quantizer(Q(bits, 0)))  # type: ignore[arg-type]


def test_a_dense_network_knows_its_shape(tmp_path: Path) -> None:
    to_onnx(dense(), tmp_path / "net.onnx")
    assert np.array_equal(run(tmp_path / "net.onnx", np.array([[1.0, 2.0, 3.0]]))[0], [[6.0, 6.0]])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            lambda path: to_onnx(dense(), path, "qdq2"),
            "the style 'qdq2' is not known; there is 'float64', 'qdq', 'qonnx'",
        ),
        (
            lambda path: to_onnx(layers.ReLU(), path),
            "to_onnx writes a quantised network, not a ReLU; quantize(net, plan) makes one",
        ),
        (
            lambda path: to_onnx(dense(30), path),
            "the network cannot be written in the style 'float64': it has values of 61 bits in 'dot', "
            "and a double holds 53; cast them to fewer bits",
        ),
        (
            lambda path: to_onnx(dense(accumulator=Accumulator(Q(16, 0), Overflow.SATURATE)), path),
            "the network cannot be written in the style 'float64': it has a modelled accumulator, "
            "which rounds at every step; only exact ones are written",
        ),
        (
            lambda path: to_onnx(
                Quantized(Graph({"a": Node(layers.ReLU(), ("x",))}), Quantizer(Q(4, 0))), path
            ),
            "say the shape of one sample: to_onnx(fixed, path, shape=(28, 28, 1))",
        ),
        (
            lambda path: to_onnx(dense(), path, shape=[(3,), (4,)]),
            "the network has 1 inputs, and there are shapes for 2",
        ),
    ],
)
def test_what_cannot_be_written_is_answered_with_a_sentence(wrong, sentence: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(sentence)}$"):
        wrong(tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()
