# SPDX-License-Identifier: MIT
"""Damaged, truncated and hostile files end in one sentence, in bounded time and memory."""

from __future__ import annotations

import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytest.importorskip("ai_edge_litert", reason="models are written with the schema of the `tflite` extra")

from fixedpoint_nn import from_tflite
from fixedpoint_nn.interchange.tflite import TfliteError
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.support.tflite_decoder import decoder
from tests.support.tflite_models import ModelBuilder, options, run
from tests.support.tflite_networks import ds_cnn

GOOD, SAMPLES = ds_cnn(seed=4, size=(7, 5), channels=2)
ANOTHER, _ = decoder(size=4, channels=3)
ENDS = st.sampled_from([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0", b"\x04\0\0\0"])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good file with flipped bits, overwritten words, or its end cut off."""
    blob = bytearray(draw(st.sampled_from([GOOD, ANOTHER])))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(blob) - 4))
        if draw(st.booleans()):
            blob[place] ^= 1 << draw(st.integers(0, 7))
        else:
            blob[place : place + 4] = draw(ENDS)
    return bytes(blob[: draw(st.one_of(st.just(len(blob)), st.integers(0, len(blob))))])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(damaged())
@example(b"")
@example(GOOD[:8])
def test_a_damaged_file_is_read_or_refused_in_a_sentence(blob: bytes) -> None:
    start = time.process_time()
    try:
        from_tflite(blob)
    except (TfliteError, UnsupportedModel) as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 12_000  # one reason for each of the operators
    assert time.process_time() - start < 20


def test_memory_stays_within_the_files_means() -> None:
    model = ModelBuilder()
    x = model.input((1, 4), scale=0.1)
    for _ in range(500):  # tensors of one buffer, each of which says that it is all of it
        model.tensor((4096,), "int8", scale=1.0)
    model.constant(np.zeros(4096, np.int8))
    for tensor in model.tensors[1:-1]:
        tensor.buffer = model.tensors[-1].buffer
    blob = model.finish([x])
    tracemalloc.start()
    with pytest.raises(TfliteError, match="it describes more data than it holds"):
        from_tflite(blob)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * len(blob)


def test_a_shape_of_gigabytes_is_refused() -> None:
    model = ModelBuilder()
    x = model.input((1, 1 << 20, 1 << 20, 1), scale=0.1)
    with pytest.raises(TfliteError) as refused:
        from_tflite(model.finish([x]))
    assert str(refused.value).endswith(
        "is damaged: tensor 'input0' has 1099511627776 elements, and 33554432 is the most"
    )


def test_endless_work_is_refused() -> None:
    model = ModelBuilder()
    x = model.input((1, 2048, 2048, 1), scale=0.1)
    pool = options("Pool2D", padding=0, strideH=1, strideW=1, filterHeight=99, filterWidth=99)
    y = model.operator("AVERAGE_POOL_2D", [x], (1, 2048, 2048, 1), pool, scale=0.1)
    with pytest.raises(UnsupportedModel) as refused:
        from_tflite(model.finish([y]))
    assert str(refused.value) == (
        "the model has 1 operator that cannot be converted exactly: AVERAGE_POOL_2D 't1' takes 41108373504 "
        "products for each sample, and 268435456 is the most"
    )


def test_values_that_would_not_fit_into_memory_are_not_computed() -> None:
    model = ModelBuilder()
    x = model.input((1, 4096, 1, 4096), scale=0.1)
    y = model.constant(np.ones((1, 1, 4096, 1), np.int8), scale=0.1)
    z = model.operator("ADD", [x, y], (1, 4096, 1, 4096), options("Add"), scale=0.1)
    w = model.operator(
        "CONCATENATION", [x] * 5000, (1, 4096, 1, 4096), options("Concatenation", axis=3), scale=0.1
    )
    with pytest.raises(UnsupportedModel) as refused:
        from_tflite(model.finish([z]))
    assert w > z
    assert str(refused.value) == (
        "the model has 2 operators that cannot be converted exactly: ADD 't2' combines the shapes "
        "(1, 4096, 1, 4096) and (1, 1, 4096, 1), and declares (1, 4096, 1, 4096); "
        "CONCATENATION 't3' declares 4096 places along axis 3, and has 20480000"
    )


def test_tables_of_all_layers_together_are_bounded() -> None:
    model = ModelBuilder()
    x = model.input((1, 1), "int16", scale=2.0**-12)
    for _ in range(130):
        x = model.operator("LOGISTIC", [x], (1, 1), dtype="int16", scale=2.0**-15)
    with pytest.raises(UnsupportedModel) as refused:
        from_tflite(model.finish([x]))
    assert str(refused.value) == (
        "the model has more than 8388608 entries of tables, up to its layer 'logistic_128'"
    )


def test_a_model_without_ends_is_refused() -> None:
    model = ModelBuilder()
    x = model.input((1, 4), scale=0.1)
    model.operator("RELU", [x], (1, 4), scale=0.1)
    with pytest.raises(UnsupportedModel, match=r"^the model has no inputs, or no outputs$"):
        from_tflite(model.finish([]))


def test_what_is_no_model_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(b"PK\3\4 a zip file")
    with pytest.raises(TfliteError) as refused:
        from_tflite(path)
    assert str(refused.value) == f"{path} is no TFLite model: it does not have the identifier 'TFL3'"
    with pytest.raises(FileNotFoundError) as absent:
        from_tflite(tmp_path / "none.tflite")
    assert str(absent.value) == f"there is no file {tmp_path / 'none.tflite'}"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(ImportError) as refused:
        from_tflite(GOOD)
    assert str(refused.value) == (
        "reading a .tflite file takes the package 'tflite': pip install 'fixedpoint_nn[tflite]'"
    )


def test_every_operator_that_is_not_converted_is_named_with_its_reason() -> None:
    model = ModelBuilder()
    x = model.input((1, 4), scale=0.1)
    about = {"scale": 0.1, "zero": 0}
    a = model.operator("SIN", [x], (1, 4), name="wave", **about)
    b = model.operator("ADD", [a, x], (1, 4), options("Add", fusedActivationFunction=4), name="sum", **about)
    c = model.operator("RESHAPE", [b], (1, 2, 2), options("Reshape"), name="moved", scale=0.1, zero=3)
    d = model.operator("RELU", [c], (1, 2, 2), name="fine", **about)
    with pytest.raises(UnsupportedModel) as refused:
        from_tflite(model.finish([d]))
    assert str(refused.value) == (
        "the model has 3 operators that cannot be converted exactly: "
        "SIN 'wave' is an operator that is not supported; "
        "ADD 'sum' has the fused activation TANH; "
        "RESHAPE 'moved' has values of different scales or zero points "
        "(int8 0.1 0 and int8 0.1 3), and moves them unchanged"
    )


def test_a_file_is_read_up_to_a_tensor_inside_of_it() -> None:
    model = ModelBuilder()
    x = model.input((1, 4), scale=0.1)
    about = {"scale": 0.1, "zero": 0}
    a = model.operator("RELU", [x], (1, 4), name="straight", **about)
    b = model.operator("SIN", [a], (1, 4), name="wave", **about)
    blob = model.finish([b])
    codes = np.array([[-128, -1, 0, 127]], np.int8)
    assert from_tflite(blob, outputs=["straight"])(codes).ints.tolist() == [[0, 0, 0, 127]]
    with pytest.raises(ValueError, match=r"^the model computes no tensor 'x'; its outputs are wave$"):
        from_tflite(blob, outputs=["x"])


def test_floats_of_input_and_output_are_left_outside() -> None:
    model = ModelBuilder()
    x = model.input((1, 4), "float32")
    q = model.operator("QUANTIZE", [x], (1, 4), scale=0.5, zero=3)
    r = model.operator("RELU", [q], (1, 4), scale=0.25, zero=-128)
    y = model.operator("DEQUANTIZE", [r], (1, 4), dtype="float32")
    network = from_tflite(model.finish([y]))
    floats = np.array([[-1.0, 0.25, 1.3, 1e9]])
    assert network(floats).ints.tolist() == [[-128, -126, -122, 120]]
    assert network.input.to_floats([3, 4]).tolist() == [0.0, 0.5]


def test_unsigned_integers_at_the_ends_only_move_the_zero_point() -> None:
    model = ModelBuilder()
    x = model.input((1, 4), "uint8", scale=0.5, zero=131)
    q = model.operator("QUANTIZE", [x], (1, 4), scale=0.5, zero=3)
    r = model.operator("RELU", [q], (1, 4), scale=0.25, zero=-128)
    y = model.operator("QUANTIZE", [r], (1, 4), dtype="uint8", scale=0.25, zero=0)
    blob = model.finish([y])
    samples = np.arange(256, dtype=np.uint8).reshape(-1, 4)
    network = from_tflite(blob)
    assert np.array_equal(network(samples).ints, run(blob, samples))
    assert network(np.zeros((1, 4))).ints.tolist() == [[0, 0, 0, 0]]  # floats are worth what they are


def test_the_place_of_the_largest_value_may_end_a_model() -> None:
    model = ModelBuilder()
    x = model.input((1, 9), scale=0.5, zero=-7)
    r = model.operator("RELU", [x], (1, 9), scale=0.5, zero=-128)
    axis = model.constant(np.array(-1, np.int32))
    y = model.operator("ARG_MAX", [r, axis], (1,), options("ArgMax", outputType=2), "int32")
    blob = model.finish([y])
    samples = np.random.default_rng(0).integers(-128, 128, (50, 9)).astype(np.int8)
    assert np.array_equal(from_tflite(blob)(samples).ints, run(blob, samples))


def test_a_model_that_computes_with_floats_and_integers_is_refused() -> None:
    model = ModelBuilder()
    x = model.input((1, 4), "float32")
    y = model.operator("RELU", [x], (1, 4), dtype="float32")
    z = model.operator("QUANTIZE", [y], (1, 4), scale=0.5, zero=3)
    with pytest.raises(UnsupportedModel) as refused:
        from_tflite(model.finish([z]))
    assert str(refused.value) == (
        "the model's input 'input0' is float32 and goes to RELU; one QUANTIZE must take it"
    )
