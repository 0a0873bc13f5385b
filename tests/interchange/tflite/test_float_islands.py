# SPDX-License-Identifier: MIT
"""Floats inside of a quantised model: the interpreter's codes for every code, and a sentence for all other floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn.interchange.tflite.convert import from_tflite
from fixedpoint_nn.interchange.tflite.float_islands import FUNCTIONS
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.support.tflite_models import ModelBuilder, options, run

RELU6 = 3
NUMBERS = {"ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"}
POSITIVE = {"LOG", "RSQRT", "SQRT"}
MADE = {
    "ADD": options("Add", fusedActivationFunction=RELU6),
    "SUB": options("Sub"),
    "MUL": options("Mul"),
    "DIV": options("Div"),
    "GELU": options("Gelu", approximate=True),
    "LEAKY_RELU": options("LeakyRelu", alpha=0.3),
}
Body = Callable[[ModelBuilder, int], int]


def model_of(body: Body, dtype: str, scale: float, zero: int, out_scale: float, out_zero: int) -> bytes:
    """A model of all codes: DEQUANTIZE, what `body` adds to it, QUANTIZE."""
    count = 256 if dtype != "int16" else 65536
    model = ModelBuilder()
    x = model.input((1, count), dtype, scale=scale, zero=zero)
    floats = model.operator("DEQUANTIZE", [x], (1, count), dtype="float32")
    y = body(model, floats)
    return model.finish(
        [model.operator("QUANTIZE", [y], (1, count), dtype=dtype, scale=out_scale, zero=out_zero)]
    )


def equal(blob: bytes, dtype: str) -> np.ndarray:
    """The codes of every code, after a comparison with the interpreter."""
    about = np.iinfo(dtype)
    codes = np.arange(about.min, about.max + 1, dtype=dtype)[np.newaxis]
    ours = from_tflite(blob)(codes).ints
    assert np.array_equal(ours, run(blob, codes))
    return ours


def function(kind: str, model: ModelBuilder, x: int) -> int:
    shape = tuple(model.tensors[x].shape)
    if kind in POSITIVE:
        x = model.operator("ABS", [x], shape, dtype="float32")
        x = model.operator(
            "ADD", [x, model.constant(np.float32(0.37))], shape, options("Add"), dtype="float32"
        )
    inputs = [x, model.constant(np.array([0.7], np.float32))] if kind in NUMBERS else [x]
    return model.operator(kind, inputs, shape, MADE.get(kind), dtype="float32")


@pytest.mark.parametrize(("dtype", "zero"), [("int8", -11), ("uint8", 130)])
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_of_every_code_is_the_interpreters(kind: str, dtype: str, zero: int) -> None:
    blob = model_of(lambda model, x: function(kind, model, x), dtype, 0.0391, zero, 0.0173, zero + 3)
    assert len(np.unique(equal(blob, dtype))) > 2


def test_a_function_of_16_bits_is_the_interpreters() -> None:
    equal(model_of(lambda model, x: function("NEG", model, x), "int16", 0.001, 0, 0.0013, 0), "int16")


def test_a_graph_of_functions_of_one_value_is_one_table() -> None:
    def swish(model: ModelBuilder, x: int) -> int:
        gate = model.operator("LOGISTIC", [x], (1, 256), dtype="float32")
        return model.operator("MUL", [x, gate], (1, 256), options("Mul"), dtype="float32")

    blob = model_of(swish, "int8", 0.05, 4, 0.03, -100)
    equal(blob, "int8")
    assert len(from_tflite(blob).net.parts) == 3  # input, table, output


def test_floats_that_are_moved_are_moved_as_codes() -> None:
    """As in Keras' GRU, whose gates are floats that a SPLIT takes apart."""

    def halves(model: ModelBuilder, x: int) -> int:
        axis = model.constant(np.array(1, np.int32))
        sizes = [(1, 128)] * 2
        first, second = model.operator_of_several(
            "SPLIT", [axis, x], sizes, options("Split", numSplits=2), dtype="float32"
        )
        turned = model.operator("NEG", [second], (1, 128), dtype="float32")
        codes = [model.operator("QUANTIZE", [half], (1, 128), scale=0.04, zero=2) for half in (first, turned)]
        whole = model.operator(
            "CONCATENATION", codes, (1, 256), options("Concatenation", axis=1), scale=0.04, zero=2
        )
        return model.operator("DEQUANTIZE", [whole], (1, 256), dtype="float32")

    equal(model_of(halves, "int8", 0.05, 4, 0.03, -100), "int8")


def test_floats_of_two_values_are_refused_with_what_to_do() -> None:
    model = ModelBuilder()
    x, y = (model.input((1, 4), scale=0.1, zero=3) for _ in range(2))
    floats = [model.operator("DEQUANTIZE", [value], (1, 4), dtype="float32") for value in (x, y)]
    z = model.operator("MUL", floats, (1, 4), options("Mul"), dtype="float32")
    blob = model.finish([model.operator("QUANTIZE", [z], (1, 4), scale=0.2, zero=0)])
    with pytest.raises(
        UnsupportedModel, match="of float32, and floats inside of a quantised model are supported where they"
    ):
        from_tflite(blob)


def test_floats_beyond_32_bits_are_refused() -> None:
    blob = model_of(
        lambda model, x: model.operator("EXP", [x], (1, 256), dtype="float32"), "int8", 1.0, 0, 0.1, 0
    )
    with pytest.raises(UnsupportedModel, match="32 bits overflow"):
        from_tflite(blob)


def test_numbers_of_several_channels_are_no_function_of_one_value() -> None:
    def shifted(model: ModelBuilder, x: int) -> int:
        each: Any = np.linspace(0, 1, 256, dtype=np.float32)
        return model.operator("ADD", [x, model.constant(each)], (1, 256), options("Add"), dtype="float32")

    with pytest.raises(UnsupportedModel, match="floats inside of a quantised model"):
        from_tflite(model_of(shifted, "int8", 0.1, 0, 0.1, 0))
