# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Tensor
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
    with pytest.raises(ValueError, match="distillation imitates classes"):
        loss(Tensor(np.zeros((4, 2))), Taught(np.zeros((4, 2)), np.zeros((4, 2))))
