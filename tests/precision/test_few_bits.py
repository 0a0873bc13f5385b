# SPDX-License-Identifier: MIT
"""The plans that benchmarks/few_bits holds give the figures that are stated of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import data, quantize, zoo
from fixedpoint_nn.precision import Plan, calibrate
from fixedpoint_nn.precision.cost import word_bits
from fixedpoint_nn.precision.quantize import carrying
from tests.support.small_networks import NAMES, small_network

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STATED = {
    (row["network"], row["bits"]): row
    for row in json.loads((BENCHMARKS / "precision.json").read_text("utf-8"))
    if row["method"] == "lsq"
}
SHIPPED = sorted((BENCHMARKS / "few_bits").glob("*.json"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_plan_that_carries_its_weights_gives_the_stated_figure(path: Path, real: Any) -> None:
    test = real(data.fashion_mnist)[1]
    name, bits = path.stem.rsplit("-", 1)
    plan = Plan.load(path)
    fixed = quantize(zoo.build(name, seed=7), plan)  # its own weights are not used
    right = (fixed(test.x).ints.argmax(-1) == test.y).mean()
    assert np.isclose(right, STATED[name, int(bits)]["curves"][0][-1])
    for place in ("input", "fc1.weight", "relu1.out", "fc2.weight", "relu2.out", "fc3.weight"):
        assert word_bits(plan, place) <= int(bits)


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_carries_the_weights_of_any_network(name: str) -> None:
    net, x = small_network(name)
    plan = calibrate(net, x, word=4)
    for value in (carrying(net, plan), Plan.from_json(carrying(net, plan).to_json())):
        assert np.array_equal(quantize(net, value)(x).ints, quantize(net, plan)(x).ints)
