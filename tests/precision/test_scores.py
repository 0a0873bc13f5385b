# SPDX-License-Identifier: MIT
"""Every metric against its formula, written with plain loops."""

from __future__ import annotations

from math import exp, isnan, log

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fixedpoint_nn import Tensor
from fixedpoint_nn.precision import Metric, scores
from fixedpoint_nn.training.detection import RANGE, detections, mean_average_precision
from fixedpoint_nn.training.losses import cross_entropy

# Few different values, so that ties are common: fixed networks have many.
VALUES = st.integers(-8, 8).map(lambda n: n / 4)


@st.composite
def classified(draw, fewest: int = 2, most: int = 9):
    """Outputs (samples, classes) and labels (samples,), some of them padding, at least one not."""
    samples, classes = draw(st.integers(1, 12)), draw(st.integers(fewest, most))
    outputs = draw(arrays(np.float64, (samples, classes), elements=VALUES))
    labels = draw(arrays(np.int64, samples, elements=st.integers(-1, classes - 1)))
    labels[0] = max(labels[0], 0)
    return outputs, labels


@given(classified())
def test_accuracy_counts_the_first_largest_output(data) -> None:
    outputs, labels = data
    right = [row.tolist().index(max(row)) == label for row, label in zip(outputs, labels) if label != -1]
    assert scores.accuracy(outputs, labels).tolist() == right


@given(classified(fewest=6))
def test_top5_counts_labels_among_the_first_five_of_a_stable_order(data) -> None:
    outputs, labels = data
    right = []
    for row, label in zip(outputs, labels):
        if label != -1:
            order = sorted(range(len(row)), key=lambda place: (-row[place], place))
            right.append(int(label) in order[:5])
    assert scores.top5(outputs, labels).tolist() == right


@given(classified())
def test_nll_is_minus_the_log_of_the_softmax(data) -> None:
    outputs, labels = data
    wanted = [
        -log(exp(row[label]) / sum(map(exp, row))) for row, label in zip(outputs, labels) if label != -1
    ]
    assert np.allclose(scores.nll(outputs, labels), wanted, atol=1e-12)


def test_nll_of_sequences_is_the_loss_of_training() -> None:
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((4, 6, 9)), rng.integers(-1, 9, (4, 6))
    loss = float(cross_entropy(Tensor(logits), y).data)
    assert abs(Metric.NLL.value(logits, y) - loss) < 1e-12


@given(arrays(np.float64, st.integers(1, 12), elements=VALUES), st.data())
def test_a_single_output_is_judged_by_its_sign_and_its_sigmoid(values, data) -> None:
    zero = data.draw(st.sampled_from((0, -1)))
    labels = data.draw(arrays(np.int64, len(values), elements=st.sampled_from((zero, 1))))
    for given_labels in (labels, labels[:, np.newaxis]):
        right = [(value > 0) == (label == 1) for value, label in zip(values, labels)]
        assert scores.accuracy(values[:, np.newaxis], given_labels).tolist() == right
        likelihoods = [1 / (1 + exp(-value if label == 1 else value)) for value, label in zip(values, labels)]
        assert np.allclose(scores.nll(values[:, np.newaxis], given_labels), [-log(p) for p in likelihoods])


@given(st.data(), st.integers(1, 10), st.integers(1, 4))
def test_targets_are_compared_output_by_output(data, samples: int, width: int) -> None:
    outputs, targets = (data.draw(arrays(np.float64, (samples, width), elements=VALUES)) for _ in range(2))
    squares = [(outputs[i, j] - targets[i, j]) ** 2 for i in range(samples) for j in range(width)]
    sizes = [abs(outputs[i, j] - targets[i, j]) for i in range(samples) for j in range(width)]
    assert abs(Metric.MSE.value(outputs, targets) - sum(squares) / len(squares)) < 1e-12
    assert abs(Metric.MAE.value(outputs, targets) - sum(sizes) / len(sizes)) < 1e-12


@given(arrays(np.float64, st.integers(2, 14), elements=VALUES), st.data())
def test_auc_is_the_share_of_pairs_in_the_right_order(values, data) -> None:
    labels = data.draw(arrays(np.int64, len(values), elements=st.integers(0, 1)))
    pairs = [(a > b) + (a == b) / 2 for a in values[labels == 1] for b in values[labels == 0]]
    outputs = values[:, np.newaxis]
    two = np.concatenate([np.zeros_like(outputs), outputs], 1)
    for found in (scores.auc(outputs, labels), scores.auc(two, labels), scores.auc(outputs, 2 * labels - 1)):
        assert isnan(found) if not pairs else abs(found - sum(pairs) / len(pairs)) < 1e-12


def test_predictions_hold_any_number_of_classes() -> None:
    outputs = np.zeros((1, 70_000), np.float32)
    outputs[0, 69_999] = 1
    assert scores.predictions(outputs).tolist() == [69_999]
    assert scores.accuracy(outputs, np.array([69_999])).tolist() == [True]


def test_the_prediction_of_a_single_output_is_its_sign() -> None:
    assert scores.predictions(np.array([[0.5], [-2.0], [3.0]])).tolist() == [1, 0, 1]


def test_accuracy_of_sequences_scores_every_label_and_leaves_padding_out() -> None:
    logits = np.array([[[1.0, 2], [3, 1]], [[0, 5], [1, 0]]])
    assert scores.accuracy(logits, np.array([[1, 1], [0, -1]])).tolist() == [True, False, False]


def test_precision_of_boxes_is_that_of_the_detections() -> None:
    rng = np.random.default_rng(0)
    outputs = rng.standard_normal((6, 4, 4, 8))
    outputs[..., 1:5] -= [0, 0, 8, 8]  # boxes of about 12 x 12
    boxes = np.full((6, 2, 5), -1.0)
    boxes[:, 0] = [4, 4, 16, 16, 1]
    boxes[2, 1] = [16, 12, 30, 24, 2]
    found = detections(outputs)
    assert Metric.MAP50.value(outputs, boxes) == mean_average_precision(found, boxes, 0.5) > 0
    assert Metric.MAP50_95.value(outputs, boxes) == mean_average_precision(found, boxes, RANGE) > 0
    assert Metric.MAP50_95.value(outputs, boxes) < Metric.MAP50.value(outputs, boxes)


def test_targets_without_the_axis_of_a_single_output_score_as_with_it() -> None:
    outputs, targets = np.array([[1.0], [4.0], [-2.0]]), np.array([2.0, 2.0, -2.0])
    assert Metric.MAE.value(outputs, targets) == Metric.MAE.value(outputs, targets[:, np.newaxis]) == 1.0
    assert scores.mse(outputs, targets).tolist() == [1.0, 4.0, 0.0]
