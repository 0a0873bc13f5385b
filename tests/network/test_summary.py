# SPDX-License-Identifier: MIT
"""`print(fixed)` is a table that somebody can read, and its numbers are those of the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import calibrate, quantize, zoo
from fixedpoint_nn.layers import Dense, Sequential
from fixedpoint_nn.network import serialization
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.summary import rows
from fixedpoint_nn.network.tree import parameters
from fixedpoint_nn.precision.content import digest
from tests.support.small_networks import NAMES, small_network


def fixed_of(name: str) -> tuple[Quantized, tuple[int, ...]]:
    net, x = small_network(name)
    return quantize(net, calibrate(net, x)), x.shape[1:]


def test_a_network_is_printed_as_a_table() -> None:
    net, x = zoo.load("moons"), zoo.samples("moons", 50)
    assert str(quantize(net, calibrate(net, x, word=8))).splitlines() == [
        "layer  kind    parameters in      values in  parameters  multiply-accumulates",
        "input  (2,)                       Q(3, 5)",
        "fc1    Dense   Q(3, 5), Q(2, 10)                     48                    32",
        "act1   ReLU                       UQ(2, 6)",
        "fc2    Dense   Q(2, 6), Q(1, 12)                    272                   256",
        "act2   ReLU                       UQ(2, 6)",
        "fc3    Dense   Q(2, 6), Q(0, 12)  Q(4, 4)            17                    16",
        "       in all                                       337                   304",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_stands_in_one_row(name: str) -> None:
    fixed, shape = fixed_of(name)
    found = rows(fixed.net, fixed.input.format, shape)
    sizes = [np.prod(value.shape, dtype=int) for value in parameters(fixed.net, trained_only=False).values()]
    assert sum(row.parameters for row in found) == sum(sizes)
    assert len({row.path for row in found}) == len(found)
    assert all(row.multiply_accumulates is not None for row in found)


def test_dense_and_convolution_count_their_products() -> None:
    for name in NAMES:
        fixed, shape = fixed_of(name)
        for row in rows(fixed.net, fixed.input.format, shape):
            layer = fixed.net
            for part in row.path.split("."):
                layer = layer[part] if isinstance(layer, Sequential) else getattr(layer, part, layer)
            if isinstance(layer, Dense) and name == "mlp":
                assert row.multiply_accumulates == np.prod(layer.weight.shape)
    lenet = zoo.load("lenet")
    fixed = quantize(lenet, calibrate(lenet, zoo.samples("lenet", 4)))
    counted = {row.path: row.multiply_accumulates for row in rows(fixed.net, fixed.input.format, (28, 28, 1))}
    assert counted["conv1"] == 28 * 28 * 16 * 25
    assert counted["conv2"] == 14 * 14 * 32 * 25 * 16
    assert counted["fc1"] == 7 * 7 * 32 * 120


def test_a_recurrent_layer_counts_every_step() -> None:
    net, x = zoo.load("names_lstm"), zoo.samples("names_lstm", 4)
    fixed = quantize(net, calibrate(net, x))
    counted = {row.path: row.multiply_accumulates for row in rows(fixed.net, fixed.input.format, (5,))}
    assert counted["lstm.cells.0"] == 5 * (32 + 128) * 512
    assert counted["head"] == 5 * 128 * 38


def test_without_a_shape_the_table_says_what_it_needs_and_a_file_keeps_it(tmp_path: Path) -> None:
    net, x = small_network("mlp")
    plan = calibrate(net, x)
    unknown = quantize(net, type(plan).from_json(plan.to_json()))
    assert unknown.summary().splitlines()[-1] == (
        "multiply-accumulates need the shape of a sample, without the batch: summary((28, 28, 1))"
    )
    assert " ? " in unknown.summary().replace("\n", " ")
    fixed = quantize(net, plan)
    assert unknown.summary(x.shape[1:]) == str(fixed)
    serialization.save(fixed, tmp_path / "fixed.safetensors")
    assert str(serialization.load(tmp_path / "fixed.safetensors")) == str(fixed)
    assert digest(fixed) == digest(unknown), "the shape is no part of what a network computes"
