# SPDX-License-Identifier: MIT
"""Models of several inputs and outputs, with variables, or with sizes left open, on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the runtime is in the `onnx` extra")
pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn import load_pack
from fixedpoint_nn.interchange.tflite import from_tflite, streamed
from tests.interchange.onnx.models import model, node
from tests.support.commands import Capture, found, refused
from tests.support.tflite_streams import streaming

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_model_with_variables_is_checked_compared_emitted_and_verified(capsys: Capture) -> None:
    blob, frames = streaming()
    Path("stream.tflite").write_bytes(blob)
    np.savez("frames.npz", x=frames)
    checked = found(capsys, "import", "stream.tflite", "--check")
    assert checked["inputs"] == ["input0 int8 (1, 1, 1, 3)", "the variable frames int8 (1, 3, 1, 3)"]
    assert (checked["engine"], checked["refusals"]) == ("fits", [])
    compared = found(capsys, "compare", "stream.tflite", "--data", "frames.npz")
    assert (compared["equal"], compared["exact"], compared["samples"]) == (True, True, 30)
    emit = ("emit", "stream.tflite", "--data", "frames.npz", "--vectors", 3, "--corners", 0, "--out", "p")
    assert found(capsys, *emit)["vectors"] == 3
    assert found(capsys, "verify", "p")["passed"]
    network: Any = from_tflite(blob)
    y, held = network(*(x[:3] for x in streamed(blob, network, frames)))
    rows = np.concatenate([y.ints.reshape(3, -1), held.ints.reshape(3, -1)], axis=1)
    assert np.array_equal(load_pack("p").expected.reshape(3, -1), rows)


def two_inputs() -> None:
    nodes = [node("Gemm", "a w", "p"), node("Add", "p b", "s"), node("Relu", "s", "y"), node("Neg", "s", "z")]
    weights = {"w": RNG.standard_normal((4, 3)).astype(np.float32)}
    Path("two.onnx").write_bytes(model(nodes, {"a": ["n", 4], "b": ["n", 3]}, ["y", "z"], weights))
    np.savez("two.npz", a=RNG.standard_normal((20, 4)), b=RNG.standard_normal((20, 3)))


def test_a_float_model_of_several_inputs_and_outputs_is_emitted_and_verified(capsys: Capture) -> None:
    two_inputs()
    emit = (
        "emit",
        "two.onnx",
        "--data",
        "two.npz",
        "--word",
        8,
        "--vectors",
        3,
        "--corners",
        0,
        "--out",
        "p",
    )
    assert found(capsys, *emit)["vectors"] == 3
    assert Path("p/plan.json").is_file()
    assert found(capsys, "verify", "p")["passed"]
    again = ("emit", "two.onnx", "--data", "two.npz", "--plan", "p/plan.json", "--vectors", 3, "--corners", 0)
    found(capsys, *again, "--out", "q")
    assert np.array_equal(load_pack("p").expected, load_pack("q").expected)


def test_a_command_that_takes_one_input_says_so(capsys: Capture) -> None:
    two_inputs()
    assert refused(capsys, "sweep", "two.onnx", "--data", "two.npz", "--words", 8, "--out", "s") == (
        "two.onnx has several inputs (a, b), which this command does not take"
    )


def test_sizes_that_a_file_leaves_open_are_those_of_the_samples(capsys: Capture) -> None:
    nodes = [node("Conv", "image k", "c"), node("Relu", "c", "y")]
    weights = {"k": RNG.standard_normal((2, 3, 3, 3)).astype(np.float32)}
    Path("open.onnx").write_bytes(model(nodes, {"image": ["n", 3, "h", "w"]}, ["y"], weights))
    np.savez("first.npz", x=RNG.standard_normal((9, 3, 6, 5)).astype(np.float32))
    compared = found(capsys, "compare", "open.onnx", "--data", "first.npz")
    assert (compared["equal"], compared["samples"]) == (True, 9)
    emit = ("--data", "first.npz", "--word", 8, "--vectors", 2, "--corners", 0, "--out", "p")
    assert found(capsys, "emit", "open.onnx", *emit)["vectors"] == 2


def test_an_input_is_fixed_at_a_number(capsys: Capture) -> None:
    nodes = [node("Mul", "x factor", "y")]
    Path("scaled.onnx").write_bytes(model(nodes, {"x": ["n", 3], "factor": []}, ["y"], {}))
    np.savez("x.npz", x=RNG.standard_normal((9, 3)).astype(np.float32))
    fixed = ("--constant", "factor=2.5")
    assert found(capsys, "import", "scaled.onnx", "--check", *fixed)["refusals"] == []
    assert found(capsys, "compare", "scaled.onnx", "--data", "x.npz", *fixed)["equal"]
    emit = ("--word", 8, "--vectors", 2, "--corners", 0)
    assert (
        found(capsys, "emit", "scaled.onnx", "--data", "x.npz", *emit, *fixed, "--out", "p")["vectors"] == 2
    )
    assert found(capsys, "verify", "p")["passed"]
    assert refused(capsys, "emit", "moons", *emit, *fixed, "--out", "q") == (
        "moons has no inputs that can be fixed; --constant is for .onnx files"
    )
    assert refused(capsys, "import", "scaled.onnx", "--check", "--constant", "factor=two") == (
        "--constant 'factor=two' is not like sr=16000"
    )
