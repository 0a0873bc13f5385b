# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

import numpy as np
import pytest

from fixedpoint_nn import Tensor, calibrate, quantize
from fixedpoint_nn.layers import Embedding, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.training.losses import cross_entropy, mean_squared_error
from fixedpoint_nn.training.metrics import (
    accuracy,
    area_under_curve,
    classification,
    confusion_matrix,
    loss_of,
    outputs,
    perplexity,
    roc_curve,
)

RNG = np.random.default_rng(2)


def test_accuracy_counts_what_is_not_padding() -> None:
    logits = np.array([[[1.0, 0.0], [0.0, 1.0], [5.0, 0.0]]])
    assert accuracy(logits, np.array([[0, 0, -1]])) == 0.5
    assert accuracy(logits[0], [0, 1, 0]) == 1


def test_perplexity_of_a_fair_choice_is_the_number_of_choices() -> None:
    loss = float(cross_entropy(Tensor(np.zeros((3, 7))), [0, 3, 6]).data)
    assert perplexity(loss) == pytest.approx(7)


def test_confusion_matrix_has_labels_in_rows() -> None:
    matrix = confusion_matrix(predicted=[0, 1, 1, 2], labels=[0, 1, 2, 2], classes=3)
    assert matrix.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert matrix.sum() == 4


def test_a_roc_curve_goes_through_every_limit_and_its_area_is_that_of_the_pairs() -> None:
    scores, positive = np.array([5, 3, 3, 2, 1, 1]), np.array([1, 1, 0, 0, 1, 0])
    false, true = roc_curve(scores, positive)
    assert false.tolist() == [0, 0, 1 / 3, 2 / 3, 1]
    assert true.tolist() == [0, 1 / 3, 2 / 3, 2 / 3, 1]
    for _ in range(20):
        scores, positive = RNG.integers(0, 6, 30), RNG.integers(0, 2, 30)
        false, true = roc_curve(scores, positive)
        area = (np.diff(false) * (true[1:] + true[:-1]) / 2).sum()  # an equal score counts half: trapezia
        assert area == pytest.approx(area_under_curve(scores, positive))


@pytest.mark.parametrize("block", [1, 7, 100])
def test_blocks_do_not_change_the_figures(block: int) -> None:
    net = Sequential(Initialiser(0, np.float64).dense(4, 3))
    x, labels = RNG.standard_normal((20, 4)), RNG.integers(0, 3, 20)
    whole = net(Tensor(x))
    assert np.allclose(outputs(net, x, block), whole.data, rtol=1e-14)
    assert loss_of(net, x, labels, block=block) == pytest.approx(float(cross_entropy(whole, labels).data))
    targets = RNG.standard_normal((20, 3))
    assert loss_of(net, x, targets, mean_squared_error, block) == pytest.approx(
        float(mean_squared_error(whole, targets).data)
    )


def test_padding_weighs_nothing_when_blocks_are_put_together() -> None:
    net = Sequential(Embedding(Tensor(RNG.standard_normal((5, 5)))))
    x, labels = RNG.integers(0, 5, (6, 3)), RNG.integers(0, 5, (6, 3))
    labels[:3, 1:] = -1
    assert loss_of(net, x, labels, block=2) == pytest.approx(float(cross_entropy(net(x), labels).data))


def test_a_quantised_network_is_measured_like_a_float_one() -> None:
    net = Sequential(Initialiser(0).dense(4, 3))
    x = RNG.standard_normal((50, 4)).astype(np.float32)
    labels = net(Tensor(x)).data.argmax(1)
    fixed = quantize(net, calibrate(net, x, word=16))
    figures = classification(fixed, x, labels)
    assert figures["accuracy"] >= 0.98
    assert figures["loss"] == pytest.approx(classification(net, x, labels)["loss"], abs=1e-2)
    assert np.array_equal(outputs(fixed, x, 7), fixed(x).to_float())


def test_labels_are_not_broadcast() -> None:
    sentence = (
        "labels of shape (8, 1) do not fit logits of shape (8, 10); "
        "give one label for each row, of shape (8,)"
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        accuracy(np.zeros((8, 10)), np.zeros((8, 1), np.int64))
