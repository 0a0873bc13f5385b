# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np

from fixedpoint_nn import Tensor
from fixedpoint_nn.precision import Metric
from fixedpoint_nn.precision.metric import interval, predictions
from fixedpoint_nn.training.losses import cross_entropy


def test_accuracy_scores_every_label_and_leaves_padding_out() -> None:
    logits = np.array([[[1.0, 2], [3, 1]], [[0, 5], [1, 0]]])
    y = np.array([[1, 1], [0, -1]])
    assert Metric.ACCURACY.scores(logits, y).tolist() == [True, False, False]


def test_likelihood_is_the_loss_of_training() -> None:
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((4, 6, 9)), rng.integers(-1, 9, (4, 6))
    loss = float(cross_entropy(Tensor(logits), y).data)
    assert abs(Metric.NLL.scores(logits, y).mean() - loss) < 1e-12


def test_one_logit_is_judged_by_its_sign() -> None:
    logits = np.array([[0.5], [-2.0], [3.0]])
    assert Metric.ACCURACY.scores(logits, np.array([1, -1, -1])).tolist() == [True, True, False]
    assert predictions(logits).tolist() == [1, 0, 1]


def test_the_metric_follows_from_the_labels() -> None:
    assert Metric.for_labels(np.zeros(5)) is Metric.ACCURACY
    assert Metric.for_labels(np.zeros((5, 1))) is Metric.ACCURACY
    assert Metric.for_labels(np.zeros((5, 7))) is Metric.NLL


def test_losses_are_points_of_accuracy_and_percent_of_likelihood() -> None:
    assert round(Metric.ACCURACY.loss(0.89, 0.9), 9) == 1
    assert round(Metric.NLL.loss(2.1, 2.0), 9) == 5


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
