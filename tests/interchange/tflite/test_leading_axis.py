# SPDX-License-Identifier: MIT
"""Operators on values whose first axis is no batch, as TensorFlow writes layers over the steps of a sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn import RtlModel
from fixedpoint_nn.interchange.comparison import compare
from fixedpoint_nn.interchange.tflite import from_tflite
from tests.support.tflite_models import ModelBuilder, options, run

RNG = np.random.default_rng(0)
ABOUT = {"scale": 0.1, "zero": 3}
Made = tuple[list[int], list[tuple[int, ...]], Any]  # inputs, shapes of the results, options


def whole(model: ModelBuilder, *values: Any) -> int:
    return model.constant(np.array(values, np.int32))


def dense(model: ModelBuilder, x: int) -> Made:
    if model.tensors[x].quantization is None:
        floats = [RNG.standard_normal(shape).astype(np.float32) for shape in ((5, 4), (5,))]
        return [x, *map(model.constant, floats)], [(3, 5)], options("FullyConnected")
    weights = model.constant(RNG.integers(-127, 128, (5, 4)).astype(np.int8), scale=0.02)
    bias = model.constant(RNG.integers(-99, 99, 5).astype(np.int32), scale=0.002)
    return [x, weights, bias], [(3, 5)], options("FullyConnected")


CASES: dict[str, Any] = {
    "FULLY_CONNECTED": dense,
    "ADD": lambda m, x: (
        [x, m.constant(np.array([[1, 2, 3, 4]], np.int8), **ABOUT)],
        [(3, 4)],
        options("Add"),
    ),
    "LOGISTIC": lambda m, x: ([x], [(3, 4)], None),
    "SOFTMAX": lambda m, x: ([x], [(3, 4)], options("Softmax", beta=1.0)),
    "MEAN": lambda m, x: ([x, whole(m, 0)], [(4,)], options("Reducer", keepDims=False)),
    "REDUCE_MAX": lambda m, x: ([x, whole(m, -1)], [(3, 1)], options("Reducer", keepDims=True)),
    "TRANSPOSE": lambda m, x: ([x, whole(m, 1, 0)], [(4, 3)], options("Transpose")),
    "CONCATENATION": lambda m, x: ([x, x], [(6, 4)], options("Concatenation", axis=0)),
    "GATHER": lambda m, x: ([x, whole(m, 2, 0)], [(2, 4)], options("Gather", axis=0)),
    "SLICE": lambda m, x: ([x, whole(m, 1, 1), whole(m, 2, -1)], [(2, 3)], options("Slice")),
    "STRIDED_SLICE": lambda m, x: (
        [x, whole(m, 1, 1), whole(m, 3, 0), whole(m, 1, 2)],
        [(2, 2)],
        options("StridedSlice", endMask=2),
    ),
    "PAD": lambda m, x: ([x, whole(m, (1, 0), (0, 2))], [(4, 6)], options("Pad")),
    "TILE": lambda m, x: ([x, whole(m, 2, 1)], [(6, 4)], options("Tile")),
    "SPLIT": lambda m, x: ([whole(m, 0), x], [(1, 4)] * 3, options("Split", numSplits=3)),
    "PACK": lambda m, x: ([x, x], [(2, 3, 4)], options("Pack", axis=0, valuesCount=2)),
    "UNPACK": lambda m, x: ([x], [(4,)] * 3, options("Unpack", axis=0, num=3)),
    "BATCH_MATMUL": lambda m, x: ([x, x], [(3, 3)], options("BatchMatMul", adjY=True)),
}


@pytest.mark.parametrize("kind", CASES)
def test_rows_are_computed_as_the_interpreter_does(kind: str, tmp_path: Any) -> None:
    model = ModelBuilder()
    x = model.input((1, 3, 4), **ABOUT)
    rows = model.operator("RESHAPE", [x, whole(model, 3, 4)], (3, 4), options("Reshape"), **ABOUT)
    inputs, shapes, made = CASES[kind](model, rows)
    about = {"scale": 1 / 256, "zero": -128} if kind in ("LOGISTIC", "SOFTMAX") else ABOUT
    result = model.operator_of_several(kind, inputs, shapes, made, **about)[-1]
    size = int(np.prod(shapes[-1]))
    y = model.operator("RESHAPE", [result, whole(model, 1, size)], (1, size), options("Reshape"), **about)
    blob = model.finish([y])
    samples = RNG.integers(-128, 128, (9, 3, 4)).astype(np.int8)
    network = from_tflite(blob)
    assert np.array_equal(network(samples).ints, run(blob, samples))
    (tmp_path / "m.tflite").write_bytes(blob)
    compared = compare(tmp_path / "m.tflite", samples)
    assert compared.equal and compared.exact, str(compared)
    if kind not in ("SOFTMAX", "CONCATENATION", "PACK"):  # of which the engine has not the words, or the way
        assert np.array_equal(RtlModel(network)(samples[:2]).ints, network(samples[:2]).ints)


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind != "ADD"])
def test_rows_of_floats_are_the_interpreters(kind: str, tmp_path: Any) -> None:
    model = ModelBuilder()
    x = model.input((1, 3, 4), "float32")
    rows = model.operator("RESHAPE", [x, whole(model, 3, 4)], (3, 4), options("Reshape"), "float32")
    inputs, shapes, made = CASES[kind](model, rows)
    result = model.operator_of_several(kind, inputs, shapes, made, dtype="float32")[-1]
    size = int(np.prod(shapes[-1]))
    y = model.operator("RESHAPE", [result, whole(model, 1, size)], (1, size), options("Reshape"), "float32")
    (tmp_path / "m.tflite").write_bytes(model.finish([y]))
    compared = compare(tmp_path / "m.tflite", RNG.standard_normal((9, 3, 4)).astype(np.float32))
    assert compared.equal, str(compared)


@pytest.mark.parametrize("kind", ["ADD", "MUL", "SUB"])
@pytest.mark.parametrize("first", [True, False])
def test_a_value_of_fewer_axes_is_spread_over_the_last_ones(kind: str, first: bool) -> None:
    """As in Keras' LSTM, which adds a bias of (units,) that it computes to gates of (1, units)."""
    model = ModelBuilder()
    x = model.input((1, 3, 4), **ABOUT)
    axis = whole(model, 1)
    row = model.operator("REDUCE_MAX", [x, axis], (1, 4), options("Reducer"), **ABOUT)
    short = model.operator("RESHAPE", [row, whole(model, 4)], (4,), options("Reshape"), **ABOUT)
    pair = [x, short] if first else [short, x]
    made = options(kind.capitalize())
    blob = model.finish([model.operator(kind, pair, (1, 3, 4), made, scale=0.2, zero=-5)])
    samples = RNG.integers(-128, 128, (20, 3, 4)).astype(np.int8)
    assert np.array_equal(from_tflite(blob)(samples).ints, run(blob, samples))


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_an_output_has_the_shape_that_the_file_declares(kind: str, tmp_path: Path) -> None:
    """As of Keras' unrolled LSTM, whose last step is a row of its own."""
    model = ModelBuilder()
    about = {"dtype": kind, **(ABOUT if kind == "int8" else {})}
    x = model.input((1, 3, 4), kind, **(ABOUT if kind == "int8" else {}))
    turned = model.operator("RESHAPE", [x, whole(model, 3, 1, 4)], (3, 1, 4), options("Reshape"), **about)
    shapes = [(1, 4)] * 3
    steps = model.operator_of_several("UNPACK", [turned], shapes, options("Unpack", axis=0, num=3), **about)
    path = tmp_path / "model.tflite"
    path.write_bytes(model.finish([steps[2]]))
    samples = RNG.integers(-128, 128, (5, 3, 4)).astype(kind)
    y: Any = from_tflite(path)(samples)
    assert y.shape == (5, 4)
    assert np.array_equal(y.ints if kind == "int8" else y, run(path.read_bytes(), samples))
    assert compare(path, samples).equal
