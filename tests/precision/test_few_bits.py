# SPDX-License-Identifier: MIT
"""The plans that benchmarks/few_bits holds give the figures that are stated of them, in integers and in the Verilog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import calibrate, data, emit, quantize, zoo
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.precision import Plan
from fixedpoint_nn.precision.cost import word_bits
from fixedpoint_nn.precision.few_bits import (
    COURSES,
    WIDE,
    Course,
    few_bits_plan,
    teacher_outputs,
    train_few_bits,
)
from fixedpoint_nn.precision.quantize import carrying
from tests.support.small_networks import NAMES, small_network

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STATED = {
    (row["network"], row["bits"]): row
    for row in json.loads((BENCHMARKS / "precision.json").read_text("utf-8"))
    if row["method"] == COURSES[row["network"]][row["bits"]].method
}
SHIPPED = sorted((BENCHMARKS / "few_bits").glob("*.json"))
LOADERS = {"names_lstm": data.french_names, "mnist_lstm": data.mnist}
VECTORS = 2


def shipped(path: Path, real: Any) -> tuple[str, int, Quantized]:
    """The network's name, its bits, and the trained network that the plan carries."""
    name, bits = path.stem.rsplit("-", 1)
    real(LOADERS.get(name, data.fashion_mnist))
    return name, int(bits), quantize(zoo.build(name, seed=7), Plan.load(path))  # its own weights are not used


def test_every_row_with_a_shipped_plan_is_stated() -> None:
    assert {path.stem for path in SHIPPED} == {f"{name}-{bits}" for name, bits in STATED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_plan_that_carries_its_weights_gives_the_stated_figure(path: Path, real: Any) -> None:
    name, bits, fixed = shipped(path, real)
    entry = zoo.entry(name)
    figures = entry.figures(fixed, *entry.examples(entry.held_out))
    figure = figures["accuracy" if entry.held_out == "test" else "loss"]
    assert np.isclose(figure, STATED[name, bits]["curves"][0][-1], atol=1e-6)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_shipped_plan_has_more_bits_than_its_course_begins_with(path: Path, real: Any) -> None:
    name, bits, _ = shipped(path, real)
    plan, start = Plan.load(path), few_bits_plan(name, zoo.load(name), bits)
    assert list(plan) == list(start)
    rounded = [place for place in plan if plan[place] is not None and not place.endswith("bias")]
    assert len(rounded) > 5
    for place in rounded:
        assert word_bits(plan, place) <= word_bits(start, place), place


@pytest.mark.slow
@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_network_is_emitted_and_verified(
    path: Path, simulator: str, real: Any, tmp_path: Path
) -> None:
    name, _, fixed = shipped(path, real)
    entry = zoo.entry(name)
    x = entry.examples(entry.held_out)[0][:VECTORS]
    assert verify(emit(fixed, x, tmp_path / "pack", corner_vectors=0), simulator).passed


@pytest.mark.parametrize("bits", [4, 3, 2])
def test_the_cell_of_an_lstm_starts_with_steps_that_its_table_sees(bits: int) -> None:
    plan = few_bits_plan("names_lstm", zoo.load("names_lstm"), bits)
    cell, address = plan.format("lstm.cells.0.cell"), plan.format("lstm.cells.0.cell_tanh.input")
    assert cell is not None and address is not None
    assert cell.bits == bits and cell.step < 1
    assert address.step <= cell.step and address.max >= cell.max


@pytest.mark.parametrize("bits", [3, 1])
def test_a_course_trains_a_network_of_the_zoo(bits: int) -> None:
    entry = zoo.entry("moons")
    x, y = entry.examples(entry.held_out)
    course = Course(2, 1e-3, "lsq")
    trained = train_few_bits(
        "moons", bits, course=course, score=lambda fixed: entry.figures(fixed, x, y), progress=False
    )
    assert len(trained.history) == course.epochs
    assert trained.history.last()["accuracy"] == entry.figures(trained.fixed, x, y)["accuracy"]
    assert word_bits(trained.plan, "fc1.weight") <= max(bits, 2)
    sizes = np.abs(trained.fixed.net["fc1"].weight.ints)
    assert (sizes == sizes[0]).all() == (
        bits == 1
    )  # of one bit, a channel's weights differ in their signs only


def test_the_teacher_of_a_course_says_something_to_each_training_sample() -> None:
    rows = len(zoo.entry("moons").source().x)
    said = teacher_outputs("moons", Course(1, teacher="moons"))
    assert said is not None and said.shape == (rows, 1)
    assert teacher_outputs("moons", Course(1)) is None


@pytest.mark.parametrize("bits", [4, 2])
def test_what_is_multiplied_has_few_bits_and_what_is_added_eight(bits: int) -> None:
    plan = few_bits_plan("resnet8", zoo.load("resnet8"), bits)
    for place in ("block1.body.conv2.out", "block1.shortcut.conv.out", "relu3.out", "head.out"):
        assert word_bits(plan, place) == WIDE
    for place in ("input", "relu1.out", "relu2.out", "block2.body.relu.out", "pool.out", "conv.weight"):
        assert word_bits(plan, place) == bits


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_carries_the_weights_of_any_network(name: str) -> None:
    net, x = small_network(name)
    plan = calibrate(net, x, word=4)
    for value in (carrying(net, plan), Plan.from_json(carrying(net, plan).to_json())):
        assert np.array_equal(quantize(net, value)(x).ints, quantize(net, plan)(x).ints)
