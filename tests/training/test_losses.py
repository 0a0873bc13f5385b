# SPDX-License-Identifier: MIT
"""Losses: their values by the formula, their gradients by finite differences."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fixedpoint_nn import Tensor
from fixedpoint_nn.training.losses import (
    LOSSES,
    binary_cross_entropy,
    cross_entropy,
    hinge,
    mean_squared_error,
)
from tests.support.finite_differences import worst_gradient_error

RNG = np.random.default_rng(11)
LABELS = {
    "cross_entropy": np.array([2, 0, 1, 2, 2]),
    "binary_cross_entropy": np.array([[0, 1, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0], [0, 1, 0]]),
    "mean_squared_error": RNG.standard_normal((5, 3)),
    "hinge": np.array([[-1, 1, 1], [1, -1, -1], [1, 1, 1], [-1, -1, -1], [-1, 1, -1]]),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_gradient_equals_finite_differences(name: str, scale: float) -> None:
    outputs = Tensor(scale * RNG.standard_normal((5, 3)))
    assert worst_gradient_error(lambda: LOSSES[name](outputs, LABELS[name]), [outputs], samples=15) < 1e-7


def test_cross_entropy_of_a_sequence_ignores_padding_in_value_and_gradient() -> None:
    logits = Tensor(RNG.standard_normal((2, 4, 5)))
    labels = np.array([[1, 4, 0, -1], [2, -1, -1, -1]])
    assert worst_gradient_error(lambda: cross_entropy(logits, labels), [logits], samples=40) < 1e-7
    counted = labels >= 0
    whole = cross_entropy(logits, labels)
    alone = cross_entropy(Tensor(logits.data[counted]), labels[counted])
    assert whole.data == pytest.approx(float(alone.data))
    logits.grad = None
    whole.backward()
    assert logits.grad is not None
    assert (logits.grad[~counted] == 0).all()
    assert (logits.grad[counted] != 0).all()


def test_cross_entropy_is_minus_the_log_of_the_softmax() -> None:
    logits = np.array([[1.0, 2.0, 0.5], [0.0, 0.0, 0.0]])
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log([probability[0, 1], probability[1, 2]]).mean()
    assert float(cross_entropy(Tensor(logits), [1, 2]).data) == pytest.approx(expected, rel=1e-14)


def test_cross_entropy_of_huge_logits_is_finite() -> None:
    logits = Tensor(np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32))
    loss = cross_entropy(logits, [0, 0])
    assert float(loss.data) == 1e4
    loss.backward()
    assert logits.grad is not None
    assert np.isfinite(logits.grad).all()


def test_binary_cross_entropy_is_that_of_two_classes() -> None:
    z, y = RNG.standard_normal(6), np.array([0, 1, 1, 0, 1, 0])
    two = np.stack([np.zeros(6), z], 1)
    assert float(binary_cross_entropy(Tensor(z), y).data) == pytest.approx(
        float(cross_entropy(Tensor(two), y).data), rel=1e-14
    )
    assert float(binary_cross_entropy(Tensor([800.0, -800.0]), [1, 0]).data) == 0


def test_mean_squared_error_and_hinge_by_hand() -> None:
    assert float(mean_squared_error(Tensor([1.0, 2.0, 4.0]), [1, 0, 1]).data) == (0 + 4 + 9) / 3
    assert float(hinge(Tensor([2.0, 0.5, -1.0]), [1, 1, 1]).data) == (0 + 0.5 + 2) / 3


def test_targets_may_lack_the_last_axis_of_one() -> None:
    assert float(mean_squared_error(Tensor([[1.0], [2.0]]), [1, 0]).data) == 2


def test_losses_keep_the_precision_of_their_outputs() -> None:
    for name, loss in LOSSES.items():
        outputs = Tensor(RNG.standard_normal((5, 3)).astype(np.float32))
        value = loss(outputs, LABELS[name])
        value.backward()
        assert outputs.grad is not None
        assert (name, value.data.dtype, outputs.grad.dtype) == (name, np.float32, np.float32)


@pytest.mark.parametrize(
    ("loss", "labels", "sentence"),
    [
        (cross_entropy, [0, 1], "2 labels for 3 rows of logits; each row needs one"),
        (cross_entropy, [0, 1, 2], "labels run from 0 to 2, but there are 2 classes"),
        (cross_entropy, [0, 1, -2], "labels run from -2 to 1, but there are 2 classes"),
        (mean_squared_error, [0, 1], "targets of shape (2,) do not fit outputs of shape (3, 2)"),
        (hinge, np.zeros((3, 2)), "labels of -1 or 1; for labels 0 and 1 pass 2 * labels - 1"),
    ],
)
def test_wrong_labels_are_a_sentence(loss: object, labels: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        loss(Tensor(np.zeros((3, 2))), labels)  # type: ignore[operator]
