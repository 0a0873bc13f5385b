# SPDX-License-Identifier: MIT
from __future__ import annotations

import csv
import re
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.layers import ReLU, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.precision import Metric, Recipe, Training, calibrate, quantize, sweep
from fixedpoint_nn.precision.axes import AXES
from fixedpoint_nn.precision.content import digest
from fixedpoint_nn.precision.sweep import Sweep
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import outputs
from tests.support.small_networks import small_network


def problem(name: str = "mlp") -> tuple[Any, Any]:
    net, x = small_network(name, np.float32)
    logits = outputs(net, x)
    return net, (x, logits.argmax(-1) if logits.ndim == 2 else np.abs(logits).argmax(-1))


def without_time(result: Sweep) -> list[dict[str, Any]]:
    return [{**row, "seconds": 0} for row in result.rows()]


def test_every_point_says_how_good_it_is_and_what_it_costs(tmp_path: Path) -> None:
    net, data = problem()
    found = sweep(net, data, words=range(2, 17), store=tmp_path / "s.sqlite", progress=False)
    assert len(found) == 15
    assert found.computed == 15
    assert found.float_score == 1.0
    last = found[-1]
    assert last.value == "16"
    assert last.metric == 1.0
    assert last.changed == 0
    assert last.loss == 0
    assert all(point.low <= point.metric <= point.high for point in found)
    assert [point.cost.weight_bits for point in found] == sorted(point.cost.weight_bits for point in found)
    eight = found[6]
    plan = calibrate(net, data[0], word=8)
    assert eight.plan == plan
    assert eight.metric == np.mean(quantize(net, plan)(data[0]).ints.argmax(-1) == data[1])
    assert eight.changed == 40 - 40 * eight.metric
    assert eight.cost.weight_bits == 6 * 8 * 8 + 8 * 4 * 8 + sum(
        plan.format(path).bits * size for path, size in (("fc1.bias", 8), ("fc2.bias", 4))
    )
    assert eight.cost.bit_operations == (6 * 8 + 8 * 4) * 8 * 8
    assert all(eight.snr_db[path] > found[0].snr_db[path] for path in eight.snr_db)


def test_a_second_run_computes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, data = problem()
    options = {"words": (4, 8), "store": tmp_path / "s.sqlite", "progress": False}
    first = sweep(net, data, **options)
    module = import_module("fixedpoint_nn.precision.sweep")
    monkeypatch.setattr(module, "evaluate", lambda *_: pytest.fail("computed again"))
    second = sweep(net, data, **options)
    assert (first.computed, second.computed) == (2, 0)
    assert first.rows() == second.rows()


def test_other_weights_data_or_bits_are_other_points(tmp_path: Path) -> None:
    net, (x, y) = problem()
    options = {"words": (4, 8), "store": tmp_path / "s.sqlite", "progress": False}
    sweep(net, (x, y), **options)
    assert sweep(net, (x, y), **{**options, "words": (4, 5)}).computed == 1
    assert sweep(net, (x[:39], y[:39]), samples=x, **options).computed == 2
    net["fc1"].bias.data[0] += 0.5
    assert sweep(net, (x, y), **options).computed == 2


def test_points_with_the_same_plan_are_computed_once(tmp_path: Path) -> None:
    net, data = problem()
    found = sweep(
        net, data, (8,), axes=("word", "weights", "activations", "rounding"), store=":memory:", progress=False
    )
    assert len(found) == 3 + 7
    assert found.computed == 7
    assert found.on("word")[0].metric == found.on("weights")[0].metric


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_can_be_swept(axis: str) -> None:
    net, data = problem("lstm")
    found = sweep(net, data, (6, 9), axes=(axis,), store=":memory:", progress=False)
    assert len(found) >= 2
    assert all(np.isfinite(point.metric) for point in found)
    if axis == "accumulator":
        assert sum(point.wrapped.get("cells.cells.0.accumulator", 0) for point in found) > 0
        assert sum(point.saturated.get("cells.cells.0.accumulator", 0) for point in found) > 0
    if axis == "overflow":
        by_value = {point.value: point for point in found}
        assert sum(by_value["wrap"].wrapped.values()) >= 0
        assert not by_value["saturate"].wrapped


def test_text_is_judged_by_its_likelihood() -> None:
    net, data = problem("lstm")
    found = sweep(net, data, (2, 12), store=":memory:", progress=False)
    assert found.metric is Metric.NLL
    assert found[0].loss > found[1].loss
    assert abs(found[1].loss) < 1


def regression(width: int) -> tuple[Any, Any]:
    """A network of so many outputs, and targets that it nearly hits."""
    rng = np.random.default_rng(0)
    init = Initialiser(1)
    net = Sequential(fc1=init.dense(6, 16), relu=ReLU(), fc2=init.dense(16, width))
    x = rng.standard_normal((50, 6)).astype(np.float32)
    return net, (x, outputs(net, x) + rng.normal(0, 0.1, (50, width)))


@pytest.mark.parametrize("width", [1, 3])
def test_a_regression_is_judged_by_mean_squares(width: int) -> None:
    net, (x, y) = regression(width)
    found = sweep(net, (x, y), (4, 12), store=":memory:", progress=False)
    assert found.metric is Metric.MSE
    for point in found:
        assert abs(point.metric - np.mean((quantize(net, point.plan)(x).to_float() - y) ** 2)) < 1e-12
    assert abs(found.float_score - np.mean((outputs(net, x) - y) ** 2)) < 1e-9
    assert found[0].loss > found[1].loss
    assert found[0].changed == 50


def test_a_sweep_takes_a_name_or_a_function_for_a_metric(tmp_path: Path) -> None:
    net, (x, y) = regression(3)
    options: dict[str, Any] = {"words": (5,), "store": tmp_path / "s.sqlite", "progress": False}

    def worst(given: Any, wanted: Any) -> float:
        return float(-np.abs(given - wanted).max())

    for metric in ("mae", worst):
        (point,) = sweep(net, (x, y), metric=metric, **options)
        given = quantize(net, point.plan)(x).to_float()
        wanted = np.abs(given - y).mean() if metric == "mae" else -np.abs(given - y).max()
        assert abs(point.metric - wanted) < 1e-12
        assert sweep(net, (x, y), metric=metric, **options).computed == 0
    with pytest.raises(ValueError, match=r"^labels of float64 and shape \(50, 3\) .* judged by accuracy: "):
        sweep(net, (x, y), metric="accuracy", **options)


def test_a_function_that_no_other_process_can_have_is_refused() -> None:
    net, (x, y) = regression(3)
    sentence = (
        "the metric <lambda> cannot be sent to other processes; define it with `def` in a module, or use "
        "one process"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        sweep(net, (x, y), (4, 5), metric=lambda o, t: 0.0, store=":memory:", progress=False, jobs=2)


def test_processes_give_the_same_points_as_one(tmp_path: Path) -> None:
    net, data = problem()
    one = sweep(net, data, (3, 6, 9), store=":memory:", progress=False)
    two = sweep(net, data, (3, 6, 9), store=":memory:", progress=False, jobs=2)
    assert without_time(one) == without_time(two)


def test_a_point_may_be_trained_for() -> None:
    net, (x, y) = problem()
    training = Training(Samples(x, y, 10), epochs=2)
    found = sweep(
        net, (x, y), (3,), methods=("ptq", "qat"), training=training, store=":memory:", progress=False
    )
    assert [point.method for point in found] == ["ptq", "qat"]
    assert found.computed == 2
    again = sweep(net, (x, y), (3,), methods=("qat",), training=training, store=":memory:", progress=False)
    assert again[0].metric == found[1].metric


KILLED = """
import sys, time
from importlib import import_module
from tests.precision.test_sweep import problem
swept = import_module("fixedpoint_nn.precision.sweep")
import_module("fixedpoint_nn.precision.problem").code_version = lambda: "the same"
evaluate = swept.evaluate
def slow(*args):
    result = evaluate(*args)
    time.sleep(0.15)
    print("ended", flush=True)
    return result
swept.evaluate = slow
swept.sweep(*problem(), range(2, 14), store=sys.argv[1], progress=False)
"""


def test_a_sweep_killed_at_any_instant_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever edits the package while this test runs changes the keys.
    monkeypatch.setattr(import_module("fixedpoint_nn.precision.problem"), "code_version", lambda: "the same")
    net, data = problem()
    whole = sweep(net, data, range(2, 14), store=":memory:", progress=False)
    for delay in (0.0, 0.07, 0.15):
        path = tmp_path / f"{delay}.sqlite"
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert child.stdout is not None
        ended = 0
        while ended < 3 and child.stdout.readline():
            ended += 1
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        ended += child.stdout.read().count("ended")
        child.wait()
        assert ended >= 3
        resumed = sweep(net, data, range(2, 14), store=path, progress=False)
        assert 0 < resumed.computed <= 12 - (ended - 1)
        assert without_time(resumed) == without_time(whole)


def test_the_points_are_a_table(tmp_path: Path) -> None:
    net, data = problem()
    found = sweep(net, data, (4, 8), store=":memory:", progress=False)
    found.to_csv(tmp_path / "points.csv")
    with (tmp_path / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["value"] for row in rows] == ["4", "8"]
    assert float(rows[1]["metric"]) == found[1].metric
    pandas = pytest.importorskip("pandas")
    frame = found.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["metric"]) == [point.metric for point in found]


def test_what_happened_in_each_layer_is_a_table(tmp_path: Path) -> None:
    net, data = problem()
    found = sweep(net, data, (3, 8), axes=("overflow",), base=Recipe(5), store=":memory:", progress=False)
    found.to_csv(tmp_path / "layers.csv", layers=True)
    with (tmp_path / "layers.csv").open() as file:
        rows = list(csv.DictReader(file))
    places = ["input", *(path for path in found[0].plan if path in found[0].snr_db)]
    assert [(row["value"], row["place"]) for row in rows] == [
        (point.value, place) for point in found for place in places
    ]
    for kind in ("saturated", "wrapped"):
        assert sum(int(row[kind]) for row in rows) == sum(row[kind] for row in found.rows()) > 0
    assert all(int(row["values"]) >= 40 * 4 for row in rows)
    assert [row["snr_db"] == "" for row in rows] == [row["place"] == "input" for row in rows]


def test_without_pandas_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    net, data = problem()
    found = sweep(net, data, (4,), store=":memory:", progress=False)
    monkeypatch.setitem(sys.modules, "pandas", None)
    sentence = "a DataFrame needs pandas: pip install pandas; to_csv() does without"
    with pytest.raises(ImportError, match=f"^{re.escape(sentence)}$"):
        found.to_frame()


def test_a_bar_tells_the_time_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, data = problem()
    sweep(net, data, (4, 5), store=tmp_path / "s.sqlite")
    assert re.search(r"sweep: 100%\S+ 2/2 \[\d\d:\d\d<\d\d:\d\d", capsys.readouterr().err)
    sweep(net, data, (4, 5, 6), store=tmp_path / "s.sqlite")
    assert "1/1 " in (shown := capsys.readouterr().err)
    assert "2 found in the store" in shown
    sweep(net, data, (4, 5, 6), store=tmp_path / "s.sqlite")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"axes": ("colour",)}, f"axis 'colour' is not known; use one of {', '.join(AXES)}"),
        (
            {"methods": ("magic",)},
            "method 'magic' is not known; use 'ptq' (after training) or 'qat' (trained for it)",
        ),
        ({"methods": ("qat",)}, "method 'qat' needs training=Training(source, ...): the data to train with"),
        ({"jobs": 0}, "jobs is a number of processes from 1 up, not 0"),
        (
            {"jobs": 2, "scheduler": "tcp://x"},
            "jobs, executor and scheduler are three ways to compute; choose one",
        ),
    ],
)
def test_a_sweep_that_cannot_be_is_answered_with_a_sentence(options: dict[str, Any], sentence: str) -> None:
    net, data = problem()
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        sweep(net, data, (4,), store=":memory:", progress=False, **options)


def test_data_need_a_label_for_each_input() -> None:
    net, (x, y) = problem()
    sentence = "40 inputs and 39 labels do not fit; each input needs one label"
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        sweep(net, (x, y[:39]), (4,), store=":memory:", progress=False)


def test_equal_content_has_equal_digests_and_other_content_another() -> None:
    net, _ = small_network("cnn")
    same, _ = small_network("cnn")
    assert digest(net) == digest(same)
    same["fc"].bias.data[2] += 1e-9
    assert digest(net) != digest(same)
    assert digest(Recipe(8)) != digest(Recipe(9)) != digest(Recipe(8, rounding="floor"))
    assert digest([1, 2], [3]) != digest([1], [2, 3])
    with pytest.raises(TypeError, match=r"^a generator cannot be part of the key of a result$"):
        digest(i for i in range(3))
