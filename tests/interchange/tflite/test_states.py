# SPDX-License-Identifier: MIT
"""Models of several inputs and outputs, and models that keep variables between calls, as streaming wake words do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from fixedpoint_nn import RtlModel, emit, from_tflite
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.interchange.comparison import compare
from fixedpoint_nn.interchange.tflite import UnsupportedModel, streamed
from fixedpoint_nn.network.serialization import load, save
from tests.support.tflite_models import ModelBuilder, options
from tests.support.tflite_streams import FEATURES, OUT, SCALE, WINDOW, streaming


def stepped(blob: bytes, frames: np.ndarray) -> np.ndarray:
    """What the interpreter gives for consecutive frames."""
    interpreter = Interpreter(model_content=blob, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    rows = []
    for frame in frames:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], frame[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.concatenate(rows)


def test_a_variable_is_an_input_and_an_output() -> None:
    blob, frames = streaming()
    network = from_tflite(blob)
    assert network.net.inputs == ("input0", "frames")
    held = np.full((1, WINDOW - 1, 1, FEATURES), -3, np.int8)
    rows = []
    for frame in frames:
        y, stored = network(frame[np.newaxis], held)
        held = stored.ints
        rows.append(y.ints)
    assert np.array_equal(np.concatenate(rows), stepped(blob, frames))
    assert np.array_equal(held[0], frames[-3:, 0])


@pytest.mark.parametrize("zero", [-3, 17])
def test_streamed_gives_what_the_variables_hold_before_each_frame(zero: int, tmp_path: Path) -> None:
    blob, frames = streaming(zero)
    network = from_tflite(blob)
    inputs = streamed(blob, network, frames)
    assert np.array_equal(inputs[1][0], np.full((3, 1, 3), zero))
    assert np.array_equal(inputs[1][5], frames[2:5, 0])
    assert np.array_equal(network(*inputs)[0].ints, stepped(blob, frames))
    save(network, tmp_path / "net.safetensors")
    assert np.array_equal(load(tmp_path / "net.safetensors")(*inputs)[0].ints, stepped(blob, frames))
    path = tmp_path / "model.tflite"
    path.write_bytes(blob)
    found = compare(path, frames)
    assert (found.equal, found.exact, found.samples) == (True, True, 30)
    assert "SLICE" not in str(found)


def test_the_verilog_keeps_what_the_variables_hold(tmp_path: Path) -> None:
    blob, frames = streaming()
    network = from_tflite(blob)
    inputs = streamed(blob, network, frames)
    y, stored = RtlModel(network)(*(x[5:8] for x in inputs))
    assert np.array_equal(y.ints, stepped(blob, frames)[5:8])
    assert np.array_equal(stored.ints[:-1], inputs[1][6:8])
    emit(network, tuple(x[5:7] for x in inputs), tmp_path / "pack", corner_vectors=1)
    verdict = verify(tmp_path / "pack")
    assert str(verdict).startswith("PASS: 3 vectors"), verdict


def test_several_inputs_and_outputs_come_in(tmp_path: Path) -> None:
    model = ModelBuilder()
    a = model.input((1, 5), scale=0.5, zero=3)
    b = model.input((1, 5), scale=0.1, zero=-100)
    total = model.operator("ADD", [a, b], (1, 5), options("Add"), scale=0.4, zero=0)
    axis = model.constant(np.array([1], np.int32))
    left, right = model.operator_of_several(
        "SPLIT_V",
        [total, model.constant(np.array([2, -1], np.int32)), axis],
        [(1, 2), (1, 3)],
        options("SplitV", numSplits=2),
        scale=0.4,
        zero=0,
    )
    y = model.operator("RELU", [right], (1, 3), scale=0.2, zero=-128)
    path = tmp_path / "model.tflite"
    path.write_bytes(model.finish([y, left]))
    rng = np.random.default_rng(0)
    samples = [rng.integers(-128, 128, (40, 5)).astype(np.int8) for _ in range(2)]
    found = compare(path, samples)
    assert found.equal, found
    assert [pair.name for pair in found.pairs] == ["t2", "t5", "t6", "t7"]
    assert [y.shape for y in from_tflite(path)(*samples)] == [(40, 3), (40, 2)]


def test_a_variable_that_nothing_sets_is_refused() -> None:
    model = ModelBuilder()
    x = model.input((1, 4), **SCALE)
    model.handles["past"] = model.handle("past", model.operators)
    before = model.read("past", (1, 4), **SCALE)
    y = model.operator("ADD", [x, before], (1, 4), options("Add"), **SCALE)
    model.assign("past", y)
    with pytest.raises(UnsupportedModel) as refused:
        from_tflite(model.finish([y]))
    assert str(refused.value) == (
        "the model reads the variable 'past', which nothing sets before the first call"
    )


def test_a_variable_stored_with_another_scale_is_refused() -> None:
    model = ModelBuilder()
    x = model.input((1, 4), **SCALE)
    model.variable("past", np.zeros((1, 4), np.int8), **SCALE)
    before = model.read("past", (1, 4), **SCALE)
    y = model.operator("ADD", [x, before], (1, 4), options("Add"), **OUT)
    model.assign("past", y)
    with pytest.raises(UnsupportedModel) as refused:
        from_tflite(model.finish([y]))
    assert str(refused.value) == (
        "the model has the variable 'past' of int8 (1, 4) read and int8 (1, 4) stored, "
        "with different shapes or scales"
    )


def filtered(seed: int, most: int = 32767) -> tuple[bytes, np.ndarray]:
    """Two SVDF, one after the other, and frames."""
    rng = np.random.default_rng(seed)
    model = ModelBuilder()
    scale = lambda low, high: float(np.exp(rng.uniform(np.log(low), np.log(high))))  # noqa: E731
    inputs = int(rng.integers(1, 6))
    last = model.input((1, inputs), scale=scale(0.01, 0.2), zero=int(rng.integers(-128, 128)))
    for _ in range(2):
        units, rank, memory = (int(rng.integers(1, most)) for most in (5, 4, 6))
        filters = units * rank
        features = rng.integers(-127, 128, (filters, inputs)).astype(np.int8)
        times = rng.integers(-most, most + 1, (filters, memory)).astype(np.int16)
        takes = [
            last,
            model.constant(features, scale=scale(1e-3, 0.05)),
            model.constant(times, scale=scale(1e-5, 1e-3)),
        ]
        bias = model.constant(rng.integers(-9000, 9001, units).astype(np.int32), scale=1e-4)
        takes.append(bias if rng.random() < 0.7 else -1)
        takes.append(model.tensor((1, filters * memory), "int16", scale=scale(1e-3, 0.1), variable=True))
        made = options("SVDF", rank=rank, fusedActivationFunction=1)
        last = model.operator(
            "SVDF", takes, (1, units), made, scale=scale(0.01, 1), zero=int(rng.integers(-128, 1))
        )
        inputs = units
    return model.finish([last]), rng.integers(
        -128, 128, (12, model.tensors[model.inputs[0]].shape[1])
    ).astype(np.int8)


@pytest.mark.parametrize("seed", range(20))
def test_filters_over_time_keep_their_state(seed: int, tmp_path: Path) -> None:
    blob, frames = filtered(seed)
    network = from_tflite(blob)
    inputs = streamed(blob, network, frames)
    assert np.array_equal(network(*inputs)[0].ints, stepped(blob, frames))
    (tmp_path / "model.tflite").write_bytes(blob)
    found = compare(tmp_path / "model.tflite", frames)
    assert found.equal and found.exact and len(found.pairs) == 4, str(found)


def test_filters_over_time_on_the_engine(tmp_path: Path) -> None:
    blob, frames = filtered(3, most=500)
    network = from_tflite(blob)
    inputs = streamed(blob, network, frames)
    y, *_ = RtlModel(network)(*(x[5:8] for x in inputs))
    assert np.array_equal(y.ints, stepped(blob, frames)[5:8])
    save(network, tmp_path / "net.safetensors")
    assert np.array_equal(load(tmp_path / "net.safetensors")(*inputs)[0].ints, stepped(blob, frames))
