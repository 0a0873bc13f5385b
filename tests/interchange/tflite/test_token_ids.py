# SPDX-License-Identifier: MIT
"""Token ids that choose rows of a quantised table: as the interpreter does, in the Verilog's twin, too."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn import FixedArray
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.interchange.tflite import from_tflite
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.support.tflite_models import ModelBuilder, options, run

ROWS, SIZE, COUNT = 50, 6, 5


def model(keras: bool = False, dtype: str = "int8", outside: str = "int32") -> bytes:
    """An embedding and a dense layer; as Keras writes it, negative ids count from the end."""
    made, rng = ModelBuilder(), np.random.default_rng(4)
    x = made.input((1, COUNT), outside)
    ids, whole = x, np.dtype(outside).type
    if keras:
        below = made.operator("LESS", [x, made.constant(np.array(0, whole))], (1, COUNT), dtype="bool")
        rows = made.constant(np.array(ROWS, whole))
        added = made.operator("ADD", [x, rows], (1, COUNT), options("Add"), dtype=outside)
        ids = made.operator("SELECT", [below, added, x], (1, COUNT), dtype=outside)
    about = {} if dtype == "float32" else {"scale": 0.02, "zero": 5}
    values = rng.integers(-128, 128, (ROWS, SIZE))
    table = made.constant((values if about else values / 50).astype(dtype), **about)
    y = made.operator("GATHER", [table, ids], (1, COUNT, SIZE), options("Gather"), dtype=dtype, **about)
    axes = made.constant(np.array([1], np.int32))
    about = {} if dtype == "float32" else {"scale": 0.01, "zero": -3}
    y = made.operator("MEAN", [y, axes], (1, SIZE), options("Reducer"), dtype=dtype, **about)
    return made.finish([y])


IDS = np.random.default_rng(0).integers(0, ROWS, (40, COUNT))


@pytest.mark.parametrize("keras", [False, True])
@pytest.mark.parametrize("outside", ["int32", "int64"])
def test_rows_are_the_interpreters_and_the_engines(keras: bool, outside: str) -> None:
    blob, ids = model(keras, outside=outside), IDS.astype(outside)
    net = from_tflite(blob)
    ours = net(ids)
    assert np.array_equal(ours.ints, run(blob, ids))
    lowered = lower(net.net, (COUNT,), net.input.format, 4)
    x = FixedArray.from_ints(ids[:1], net.input.format)
    twin = Twin(lowered.config, lowered.images, lowered.input, x.ints.reshape(-1))
    twin.run()
    assert np.array_equal(twin.memory[lowered.output.addresses()], ours.ints[0].reshape(-1))


def test_rows_of_floats_are_the_interpreters() -> None:
    blob = model(True, "float32")
    found = np.asarray(from_tflite(blob)(IDS.astype(np.int32)))
    assert np.allclose(found, run(blob, IDS.astype(np.int32)), atol=1e-6)


def test_an_id_beyond_the_table_is_refused() -> None:
    with pytest.raises(IndexError, match="index 50 is outside of the 50 rows"):
        from_tflite(model())(np.array([[0, 1, 2, 3, ROWS]]))


def test_whole_numbers_that_choose_nothing_are_refused() -> None:
    made = ModelBuilder()
    x = made.input((1, COUNT), "int32")
    y = made.operator("ADD", [x, x], (1, COUNT), options("Add"), dtype="int32")
    with pytest.raises(UnsupportedModel, match="of int32, and int8, int16, uint8 are supported"):
        from_tflite(made.finish([made.operator("CAST", [y], (1, COUNT), options("Cast"), scale=0.1, zero=0)]))


def test_another_choice_among_ids_stays_an_operator() -> None:
    """Only SELECT(x < 0, x + rows, x) is x."""
    made = ModelBuilder()
    x = made.input((1, COUNT), "int32")
    one = made.constant(np.array(1, np.int32))
    below = made.operator("LESS", [x, one], (1, COUNT), dtype="bool")
    added = made.operator("ADD", [x, one], (1, COUNT), options("Add"), dtype="int32")
    ids = made.operator("SELECT", [below, added, x], (1, COUNT), dtype="int32")
    table = made.constant(np.zeros((4, 3), np.int8), scale=0.1, zero=0)
    y = made.operator("GATHER", [table, ids], (1, COUNT, 3), options("Gather"), scale=0.1, zero=0)
    with pytest.raises(UnsupportedModel):
        from_tflite(made.finish([y]))
