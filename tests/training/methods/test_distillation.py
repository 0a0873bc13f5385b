# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Tensor
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.losses import cross_entropy, mean_squared_error
from fixedpoint_nn.training.methods.distillation import Distillation, Taught, imitation, softened


def test_imitation_has_the_gradient_of_its_value() -> None:
    rng = np.random.default_rng(0)
    z, wanted = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    counted = np.array([True, True, False, True])
    student = Tensor(z)
    imitation(student, wanted, counted, 2.0).backward()

    def value(z: Any) -> float:
        return float(imitation(Tensor(z), wanted, counted, 2.0).data)

    for i in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[i] = 1e-6
        assert np.isclose((value(z + step) - value(z - step)) / 2e-6, student.grad[i], atol=1e-6)


def test_the_best_imitation_is_the_teacher_itself() -> None:
    wanted = np.random.default_rng(1).normal(size=(5, 4))
    student = Tensor(wanted.copy())
    imitation(student, wanted, np.ones(5, bool), 3.0).backward()
    assert np.allclose(student.grad, 0)
    assert np.allclose(softened(wanted, 3.0).sum(-1), 1)


def test_the_loss_mixes_labels_and_teacher() -> None:
    rng = np.random.default_rng(2)
    z, wanted, labels = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)), rng.integers(0, 3, 6)
    mixed = Distillation(share=0.25, temperature=1.5).loss(cross_entropy)(Tensor(z), Taught(labels, wanted))
    copied = imitation(Tensor(z), wanted, np.ones(6, bool), 1.5)
    assert np.isclose(
        mixed.data, 0.75 * cross_entropy(Tensor(z), labels).data + 0.25 * copied.data, atol=1e-6
    )


def test_targets_that_are_no_classes_are_refused() -> None:
    loss = Distillation().loss(mean_squared_error)
    with pytest.raises(ValueError, match="distillation needs labels that are classes"):
        loss(Tensor(np.zeros((4, 2))), Taught(np.zeros((4, 2)), np.zeros((4, 2))))


def taught_rows(source: Any) -> Any:
    batches = list(source.epoch(np.random.default_rng(0)))
    return [
        np.concatenate(parts) for parts in zip(*((x, t.labels, t.logits) for x, t in batches), strict=True)
    ]


def test_a_teacher_that_was_heard_before_says_the_same_of_each_sample() -> None:
    x = np.arange(10.0)[:, None]
    source = Samples(x, np.arange(10), 4)
    asked = Distillation().source(source, lambda rows: rows * [1.0, -1.0])
    remembered = Distillation().source(source, x * [1.0, -1.0])
    for one, other in zip(taught_rows(asked), taught_rows(remembered), strict=True):
        assert np.array_equal(one, other)
    assert len(remembered) == len(source)


def test_a_teacher_that_was_heard_before_knows_the_samples_without_their_augmentation() -> None:
    x = np.arange(6.0)[:, None]
    source = Samples(x, np.arange(6), 4, augment=lambda rows, rng: rows + 100)
    seen, labels, logits = taught_rows(Distillation().source(source, x * [1.0, 2.0]))
    assert np.array_equal(seen[:, 0] - 100, labels)
    assert np.array_equal(logits[:, 0], labels)


def test_outputs_that_do_not_belong_to_the_samples_are_refused() -> None:
    with pytest.raises(
        ValueError, match="3 outputs of a teacher do not fit this source; give one for each row"
    ):
        Distillation().source(Samples(np.zeros((4, 2)), np.zeros(4)), np.zeros((3, 5)))
