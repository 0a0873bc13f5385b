# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.precision import Metric
from fixedpoint_nn.precision.content import function_digest
from fixedpoint_nn.precision.judge import judge
from fixedpoint_nn.precision.metric import METRICS, interval


def largest_error(outputs: Any, labels: Any) -> float:
    return float(np.abs(outputs - labels).max())


largest_error.more_is_better = False  # type: ignore[attr-defined]


def test_a_metric_has_a_name_and_a_direction() -> None:
    better = {name: metric.more_is_better for name, metric in METRICS.items()}
    assert better == {
        "accuracy": True,
        "top5": True,
        "nll": False,
        "mse": False,
        "mae": False,
        "auc": True,
        "map50": True,
        "map50_95": True,
    }
    assert all(Metric.of(name) is metric for name, metric in METRICS.items())


def test_a_function_is_a_metric_of_which_more_is_better_unless_it_says_otherwise() -> None:
    assert Metric.of(lambda outputs, labels: 0.5).more_is_better
    assert not Metric.of(lambda outputs, labels: 0.5, more_is_better=False).more_is_better
    assert not Metric.of(largest_error).more_is_better
    assert Metric.of(largest_error).name == "largest_error"


def test_a_function_is_found_by_module_and_name() -> None:
    assert Metric.of("tests.precision.test_metric:largest_error") == Metric.of(largest_error)


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        (
            "f1",
            "metric 'f1' is not known; use one of accuracy, top5, nll, mse, mae, auc, map50, map50_95, or "
            "module:function",
        ),
        (
            "nowhere:f1",
            "metric 'nowhere:f1' cannot be imported (No module named 'nowhere'); write module:function of a "
            "module that Python finds from here",
        ),
        ("math:f1", "metric 'math:f1': the module math has no function 'f1'"),
        (
            3,
            "a metric is one of accuracy, top5, nll, mse, mae, auc, map50, map50_95 or a function "
            "(outputs, labels) -> float, not 3",
        ),
    ],
)
def test_what_is_no_metric_is_one_sentence(metric: Any, sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(sentence)}$"):
        Metric.of(metric)
    with pytest.raises(ValueError, match=r"^of nll, less is better; leave the direction out$"):
        Metric.of("nll", more_is_better=True)


def test_a_function_that_gives_no_number_is_one_sentence() -> None:
    outputs, labels = np.zeros((4, 3)), np.zeros(4, np.int64)
    array = Metric.of(lambda outputs, labels: outputs)
    with pytest.raises(ValueError, match=r"^metric <lambda> gave a ndarray, and a metric gives one number$"):
        array.value(outputs, labels)
    sentence = (
        "metric <lambda> gave nan for outputs of shape (4, 3) and labels of shape (4,); "
        "it needs a finite number for every network"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        Metric.of(lambda outputs, labels: float("nan")).value(outputs, labels)


def test_losses_are_points_of_a_share_and_percent_of_everything_else() -> None:
    assert round(Metric.ACCURACY.loss(0.89, 0.9), 9) == 1
    assert round(Metric.AUC.loss(0.89, 0.9), 9) == 1
    assert round(Metric.NLL.loss(2.1, 2.0), 9) == 5
    assert round(Metric.of(lambda o, y: 1.0).loss(-2.1, -2.0), 9) == 5
    assert Metric.MSE.loss(0.25, 0.0) == 25


def test_the_content_of_a_function_decides_whether_two_are_the_same() -> None:
    def scaled(factor: float) -> Any:
        return lambda outputs, labels: factor * float(outputs.mean())

    assert Metric.of(scaled(1)) != Metric.of(scaled(2))
    assert function_digest(scaled(1)) == function_digest(scaled(1))
    assert function_digest(lambda o, y: o.min()) != function_digest(lambda o, y: o.max())
    assert function_digest(partial(largest_error, labels=1)) != function_digest(
        partial(largest_error, labels=2)
    )
    assert function_digest(max) != function_digest(max), "unknown content is never the same"


def test_a_change_of_a_function_that_is_called_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    space: dict[str, Any] = {}
    exec("def inner(o): return 1\ndef outer(o, y): return inner(o)", space)
    before = function_digest(space["outer"])
    exec("def inner(o): return 2", space)
    assert function_digest(space["outer"]) != before


def test_a_judgement_is_that_of_all_blocks_together() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2500, 1)), rng.integers(0, 2, 2500)
    for metric in (
        Metric.AUC,
        Metric.ACCURACY,
        Metric.of(lambda o, labels: float((o[:, 0] * labels).mean())),
    ):
        found = judge(lambda block: block, x, y, metric)
        assert found.value == metric.value(x, y)
        low, high = found.interval()
        assert low <= found.value <= high
        assert 0 < high - low < 0.1
        assert found.count == 2500
        assert found.changed_from(1 - found.predicted) == 2500


def test_of_a_regression_samples_change() -> None:
    outputs = np.zeros((5, 3))
    found = judge(lambda x: x, outputs, outputs, Metric.MSE)
    other = outputs.copy()
    other[2, :2] = 1
    assert found.changed_from(other) == 1
    assert found.count == 5


def test_the_interval_of_right_and_wrong_is_that_of_drawing_again() -> None:
    scores = np.random.default_rng(1).random(2000) < 0.9
    low, high = interval(scores)
    drawn_low, drawn_high = interval(scores.astype(float))
    assert low < scores.mean() < high
    assert abs(low - drawn_low) < 0.004
    assert abs(high - drawn_high) < 0.004
    assert 0.02 < high - low < 0.032


def test_the_interval_holds_the_true_mean_about_95_times_in_100() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        scores = rng.exponential(1.0, 300)
        low, high = interval(scores)
        hits += low <= 1.0 <= high
    assert 178 <= hits <= 199


def test_a_function_that_fails_is_named_with_what_it_was_given() -> None:
    sentence = (
        "metric <lambda> failed (ZeroDivisionError: division by zero) for outputs of shape (4, 3) and labels of "
        "shape (4,)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        Metric.of(lambda outputs, labels: 1 / 0).value(np.zeros((4, 3)), np.zeros(4))
