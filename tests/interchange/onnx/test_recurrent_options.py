# SPDX-License-Identifier: MIT
"""Recurrent layers with other activations, a clip, or coupled gates, against ONNX Runtime; then on the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import RtlModel, calibrate, quantize
from fixedpoint_nn.interchange.onnx.reader import imported
from tests.interchange.onnx.models import check, model, node

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", {"clip": 0.4}),
    ("LSTM", {"input_forget": 1}),
    ("LSTM", {"input_forget": 1, "clip": 0.3, "direction": "bidirectional"}),
    ("LSTM", {"activations": ["HardSigmoid", "Tanh", "Elu"], "activation_alpha": [0.25, 0.75]}),
    ("LSTM", {"activations": ["Sigmoid", "Softplus", "Relu"]}),
    ("GRU", {"clip": 0.4, "linear_before_reset": 1}),
    (
        "GRU",
        {
            "activations": ["HardSigmoid", "ScaledTanh"],
            "activation_alpha": [0.3, 1.5],
            "activation_beta": [0.4, 0.7],
        },
    ),
    ("GRU", {"activations": ["Sigmoid", "Tanh", "HardSigmoid", "Relu"], "direction": "bidirectional"}),
    ("RNN", {"clip": 0.5, "activations": ["Relu"]}),
    ("RNN", {"activations": ["LeakyRelu"], "activation_alpha": [0.1]}),
    ("RNN", {"activations": ["Affine"], "activation_alpha": [0.5], "activation_beta": [0.25]}),
]


def drawn(op: str, about: dict[str, Any], peepholes: bool = False) -> tuple[bytes, Any]:
    rng = np.random.default_rng(1)
    count = 2 if about.get("direction") == "bidirectional" else 1
    shapes = {"w": (count, GATES[op] * 3, 2), "r": (count, GATES[op] * 3, 3), "b": (count, GATES[op] * 6)}
    if peepholes:
        shapes["p"] = (count, 9)
    constants = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    outputs = "y last cell" if op == "LSTM" else "y last"
    names = "x w r b _ _ _ p" if peepholes else "x w r b"
    blob = model(
        [node(op, names, outputs, hidden_size=3, **about)], {"x": [5, "N", 2]}, outputs.split(), constants
    )
    return blob, rng.standard_normal((5, 4, 2)).astype(np.float32)


@pytest.mark.parametrize(("op", "about"), CASES)
def test_options_of_recurrent_layers(op: str, about: dict[str, Any]) -> None:
    blob, x = drawn(op, about)
    check(blob, {"x": x})


def test_coupled_gates_see_the_cell() -> None:
    blob, x = drawn("LSTM", {"input_forget": 1, "clip": 0.9}, peepholes=True)
    check(blob, {"x": x})


@pytest.mark.parametrize("case", [3, 6])
def test_the_engine_computes_the_same_integers(case: int) -> None:
    blob, x = drawn(*CASES[case])
    net = imported(blob, outputs=["y"]).net
    samples = x.transpose(1, 0, 2)
    fixed = quantize(net, calibrate(net, samples, word=8))
    rtl = RtlModel(fixed, lanes=4)
    assert np.array_equal(rtl(samples).ints, fixed(samples).ints)
