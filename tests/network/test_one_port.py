# SPDX-License-Identifier: MIT
"""Networks of several inputs and outputs on the engine: rows in, rows out, the same integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import RtlModel, calibrate, emit, layers, load_pack, quantize
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.one_port import as_one, one_port
from fixedpoint_nn.network.quantized import Quantized

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 4, 3)), 5 * RNG.standard_normal((6, 4, 2))


def two_of_each() -> Quantized:
    """Inputs and outputs of different shapes and formats."""
    i = Initialiser(1)
    net = layers.Graph(
        {
            "rows": layers.Node(i.dense(3, 2), ("x",)),
            "sum": layers.Node(layers.Add(), ("rows", "z")),
            "gate": layers.Node(layers.Sigmoid(), ("sum",)),
            "flat": layers.Node(layers.Flatten(), ("gate",)),
            "head": layers.Node(i.dense(8, 3), ("flat",)),
        },
        ("x", "z"),
        ("head", "sum", "z"),
    )
    made: Quantized = quantize(net, calibrate(net, X, word=9))
    return made


def test_the_engine_takes_and_gives_several() -> None:
    fixed = two_of_each()
    expected, computed = fixed(*X), RtlModel(fixed)(*(x[:2] for x in X))
    assert len({y.format for y in expected}) > 1
    for wanted, got in zip(expected, computed, strict=True):
        assert wanted.format == got.format and np.array_equal(wanted[:2].ints, got.ints)


def test_a_pack_holds_rows() -> None:
    fixed = two_of_each()
    joined, rows = as_one(fixed, X)
    assert rows.shape == (6, 20)
    port = one_port(fixed, ((4, 3), (4, 2)))
    for wanted, got in zip(fixed(*X), port.apart(joined(rows)), strict=True):
        assert wanted.format == got.format and np.array_equal(wanted.ints, got.ints)


def test_emitted_and_verified(tmp_path: Path) -> None:
    fixed = two_of_each()
    emit(fixed, tuple(x[:2] for x in X), tmp_path / "pack", corner_vectors=1)
    assert str(verify(tmp_path / "pack")).startswith("PASS: 3 vectors")
    assert load_pack(tmp_path / "pack").expected.shape == (3, 3 + 8 + 8)


def test_one_of_each_stays_as_it_is() -> None:
    net = layers.Sequential(Initialiser(0).dense(3, 2))
    fixed = quantize(net, calibrate(net, X[0][:, 0], word=8))
    same, rows = as_one(fixed, X[0][:, 0])
    assert same is fixed and rows.shape == (6, 3)


@pytest.mark.parametrize("given", [X[:1], (*X, X[0])])
def test_another_number_of_inputs_is_a_sentence(given: Any) -> None:
    with pytest.raises(
        ValueError, match=f"the network takes 2 inputs, and was given {len(given)}; give a tuple"
    ):
        as_one(two_of_each(), given)


def test_states_that_somebody_gives_are_rounded_like_the_layers_own() -> None:
    i = Initialiser(2)
    net = layers.Graph({"lstm": layers.Node(i.lstm(3, 2), ("x", "h", "c"))}, ("x", "h", "c"))
    x = RNG.standard_normal((5, 4, 3)), RNG.standard_normal((5, 2)), 3 * RNG.standard_normal((5, 2))
    fixed = quantize(net, calibrate(net, x, word=9))
    assert np.array_equal(RtlModel(fixed)(*(part[:2] for part in x)).ints, fixed(*x)[:2].ints)
