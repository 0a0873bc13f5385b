# SPDX-License-Identifier: MIT
"""ONNX's own node tests judge the reader: what it does not refuse, it computes right."""

from __future__ import annotations

import re

import pytest

from fixedpoint_nn.interchange.onnx.definitions import DEFINED
from fixedpoint_nn.interchange.onnx.integers.table import INTEGERS
from fixedpoint_nn.interchange.onnx.step import OPERATORS
from tests.interchange.onnx.node_tests import PAGE, cases, outcomes, with_section

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::RuntimeWarning:onnx.backend.test")]

ASKED = [
    "Gemm",
    "MatMul",
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "ReduceMean",
    "BatchNormalization",
    "Relu",
    "LeakyRelu",
    "Clip",
    "Sigmoid",
    "HardSigmoid",
    "Tanh",
    "HardSwish",
    "Softmax",
    "Elu",
    "Flatten",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Slice",
    "Split",
    "Concat",
    "Pad",
    "Gather",
    "Add",
    "Sub",
    "Mul",
    "Max",
    "Identity",
    "Dropout",
    "Constant",
    "Cast",
    "DepthToSpace",
    "Resize",
    "LSTM",
    "GRU",
    "RNN",
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
]


def test_no_node_test_fails() -> None:
    assert {name: why for name, (outcome, why) in outcomes().items() if outcome == "failed"} == {}


def test_every_operator_has_node_tests_and_most_of_them_pass() -> None:
    passed = {cases()[name] for name, (outcome, _) in outcomes().items() if outcome == "passed"}
    assert set(ASKED) - passed == {"Constant"}  # whose only test has no input
    computed = [
        outcome for name, (outcome, _) in outcomes().items() if cases()[name] not in ("Cast", "Resize")
    ]
    assert computed.count("passed") > 250


def test_every_refusal_names_the_node_its_operator_and_the_reason() -> None:
    node = r"the model has \d+ nodes? that cannot be imported: '[^']+' \(\w+\): .{10,}"
    sentence = re.compile(
        rf"{node}|the model of \d+ bytes .* its operators are those of opset 1; export it with .*"
        r"|index -?\d+ is outside of the \d+ rows, 0 to \d+"
    )
    reasons = [why for outcome, why in outcomes().values() if outcome == "refused"]
    assert reasons and [why for why in reasons if not sentence.fullmatch(why)] == []


def test_what_is_refused_stands_in_the_table() -> None:
    refused = {cases()[name] for name, (outcome, _) in outcomes().items() if outcome == "refused"} - {
        "Constant"
    }
    limits = {name: entry.limits for name, entry in {**INTEGERS, **OPERATORS}.items()} | DEFINED
    assert [name for name in refused if not limits[name]] == []


def test_the_documentation_has_these_counts() -> None:
    page = PAGE.read_text("utf-8")
    assert with_section(page) == page
