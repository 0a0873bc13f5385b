# SPDX-License-Identifier: MIT
"""The plans that benchmarks/few_bits holds give the figures that are stated of them, in integers and in the Verilog."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import precision_curves
from benchmarks.precision_cells import Cell, measured
from fixedpoint_nn import calibrate, data, emit, quantize, zoo
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import parameters
from fixedpoint_nn.precision import Plan
from fixedpoint_nn.precision.cost import word_bits
from fixedpoint_nn.precision.few_bits import (
    COURSES,
    WIDE,
    Course,
    few_bits_plan,
    prepared,
    teacher_outputs,
    train_few_bits,
)
from fixedpoint_nn.precision.quantize import carrying
from fixedpoint_nn.precision.store import ResultStore
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import outputs
from tests.support.small_networks import NAMES, small_network

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STATED = {
    (row["network"], row["bits"]): row
    for row in json.loads((BENCHMARKS / "precision.json").read_text("utf-8"))
    if row["method"] == COURSES[row["network"]][row["bits"]].method
}
SHIPPED = sorted((BENCHMARKS / "few_bits").glob("*.json"))
LONG = "mnist_lstm", "resnet8"  # networks that take seconds to judge
JUDGED = [
    pytest.param(path, marks=[pytest.mark.slow] * path.stem.startswith(LONG), id=path.stem)
    for path in SHIPPED
]
LOADERS = {"names_lstm": data.french_names, "mnist_lstm": data.mnist}
VECTORS = 2


def shipped(path: Path, real: Any) -> tuple[str, int, Quantized]:
    """The network's name, its bits, and the trained network that the plan carries."""
    name, bits = path.stem.rsplit("-", 1)
    real(LOADERS.get(name, data.fashion_mnist))
    return name, int(bits), quantize(zoo.build(name, seed=7), Plan.load(path))  # its own weights are not used


def test_every_row_with_a_shipped_plan_is_stated() -> None:
    assert {path.stem for path in SHIPPED} == {f"{name}-{bits}" for name, bits in STATED}


@pytest.mark.parametrize("path", JUDGED)
def test_a_plan_that_carries_its_weights_gives_the_stated_figure(path: Path, real: Any) -> None:
    name, bits, fixed = shipped(path, real)
    entry = zoo.entry(name)
    figures = entry.figures(fixed, *entry.examples(entry.held_out))
    figure = figures["accuracy" if entry.held_out == "test" else "loss"]
    assert np.isclose(figure, STATED[name, bits]["curves"][0][-1], atol=1e-6)


@pytest.mark.parametrize("path", JUDGED)
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


def test_a_course_decides_the_size_of_a_batch_and_whether_images_are_changed() -> None:
    given = Samples(np.zeros((6, 2)), np.zeros(6), 4, augment=lambda x, rng: x + 1)
    assert Course(1).data(given).augment is given.augment and len(Course(1).data(given)) == 2
    plain = Course(1, batch=2, augment=False).data(given)
    assert len(plain) == 3 and plain.augment is None and plain.x is given.x


def test_weights_rounded_by_least_squares_bring_the_outputs_closer() -> None:
    net, x = zoo.load("moons"), zoo.samples("moons", 300)
    first, plan = prepared("moons", net, 3)
    fixed = [quantize(net, few_bits_plan("moons", net, 3)), quantize(first, plan)]
    errors = [np.mean((found(x).to_float() - outputs(net, x)) ** 2) for found in fixed]
    assert errors[1] < 0.7 * errors[0]
    course = Course(1, 1e-9, "straight-through", prepare=True)
    trained = train_few_bits("moons", 3, course=course, progress=False)
    assert np.array_equal(trained.fixed(x).ints, fixed[1](x).ints)


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


def test_the_page_and_the_picture_are_those_of_the_kept_rows(tmp_path: Path) -> None:
    rows = json.loads((BENCHMARKS / "precision.json").read_text("utf-8"))
    page = precision_curves.PAGE.read_text("utf-8")
    assert precision_curves.with_table(page, rows) == page, "run: python -m benchmarks precision --page"
    precision_curves.draw(rows, tmp_path / "drawn.svg")
    assert (tmp_path / "drawn.svg").read_text("utf-8") == precision_curves.PICTURE.read_text("utf-8")


def test_a_row_is_shown_with_its_course_and_its_loss() -> None:
    row = {
        "network": "names_lstm",
        "bits": 4,
        "epochs": 8,
        "rate": 3e-4,
        "method": "distillation",
        "batch": 32,
        "start": None,
        "teacher": None,
        "seeds": 2,
        "rounded": 1.66,
        "lost": -0.5,
        "spread": 0.25,
        "aim": 1.0,
        "reached": True,
    }
    assert precision_curves.table([row]).splitlines()[-1] == (
        "| `names_lstm` | 4 | `distillation`, 8 epochs at 0.0003, batches of 32 | 2 | −1.66 % | +0.50 % ± 0.25 "
        "| 1 %, reached |"
    )


def test_a_page_without_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the page has no table that begins with '\| network"):
        precision_curves.with_table("# A page\n", [])


def test_every_stated_row_was_measured_by_the_course_that_is_held_for_it() -> None:
    for (name, bits), row in STATED.items():
        assert precision_curves.course_of(row) == COURSES[name][bits], (name, bits)


def test_a_course_starts_from_the_weights_that_were_trained_for_more_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    courses = {3: Course(1, 1e-3, "lsq"), 2: Course(1, 1e-3, "lsq", start=3, batch=50)}
    monkeypatch.setitem(COURSES, "moons", courses)
    first = train_few_bits("moons", 3, progress=False)
    second = train_few_bits("moons", 2, progress=False)
    again = train_few_bits("moons", 2, start=first.net, progress=False)
    alone = train_few_bits("moons", 2, start=zoo.load("moons"), progress=False)
    weight = "fc1.weight"
    values = [parameters(found.net)[weight].data for found in (second, again, alone)]
    assert np.array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])


def test_cells_that_are_held_back_judge_on_training_data_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COURSES, "moons", {2: Course(1, 1e-3, "lsq"), 1: Course(1, 1e-3, "lsq", start=2)})
    judged: list[int] = []
    entry = zoo.entry("moons")
    watched = replace(entry, figures=lambda net, x, y: judged.append(len(x)) or entry.figures(net, x, y))
    monkeypatch.setattr(zoo, "entry", lambda name: watched)
    with ResultStore(tmp_path / "results.sqlite") as store:
        cell = Cell("moons", 1, COURSES["moons"][1], 0, held_back=True)
        found = measured(cell, store, tmp_path, progress=False)
        assert set(judged) == {len(entry.source().x) - len(entry.source().x) * 9 // 10}
        judged.clear()
        assert measured(cell, store, tmp_path, progress=False) == found and not judged
