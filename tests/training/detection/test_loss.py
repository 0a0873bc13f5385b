# SPDX-License-Identifier: MIT
"""The loss of a grid: its gradient by finite differences, its value by the formula."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fixedpoint_nn import Tensor
from fixedpoint_nn.training.detection import grid_loss
from fixedpoint_nn.training.detection.grid import targets
from tests.support.finite_differences import worst_gradient_error

BOXES = np.array(
    [
        [[3, 4, 20, 30, 1], [2, 20, 30, 31, 0], [-1, -1, -1, -1, -1]],
        [[10, 2, 28, 22, 2], [-1, -1, -1, -1, -1], [-1, -1, -1, -1, -1]],
        [[-1, -1, -1, -1, -1]] * 3,
    ],
    np.float32,
)


@pytest.mark.parametrize("scale", [0.3, 6.0])
def test_its_gradient_equals_finite_differences(scale: float) -> None:
    outputs = Tensor(scale * np.random.default_rng(3).standard_normal((3, 4, 4, 8)))
    assert worst_gradient_error(lambda: grid_loss(outputs, BOXES), [outputs], samples=384) < 1e-6


def test_its_value_is_the_sum_of_three_for_each_object() -> None:
    outputs = np.random.default_rng(4).standard_normal((3, 4, 4, 8))
    cells = outputs.reshape(3, 16, 8)
    places, numbers = targets(BOXES.astype(float), 4, 4)
    sum_of_all = 0.0
    for image in range(3):
        for cell in range(16):
            probability = 1 / (1 + np.exp(-cells[image, cell, 0]))
            here = cell in places[image]
            sum_of_all -= np.log(probability if here else 1 - probability)
        for which, place in enumerate(places[image]):
            if place < 0:
                continue
            told = cells[image, place]
            for miss in np.abs(told[1:5] - numbers[image, which]):
                sum_of_all += 0.5 * (miss**2 / 2 if miss < 1 else miss - 0.5)
            share = np.exp(told[5:]) / np.exp(told[5:]).sum()
            sum_of_all -= np.log(share[int(BOXES[image, which, 4])])
    assert float(grid_loss(Tensor(outputs), BOXES).data) == pytest.approx(sum_of_all / 3, rel=1e-12)


def test_scenes_without_objects_teach_that_there_is_none() -> None:
    outputs = Tensor(np.zeros((1, 2, 2, 8)))
    grid_loss(outputs, np.full((1, 1, 5), -1.0)).backward()
    assert outputs.grad is not None
    assert (outputs.grad[..., 0] > 0).all()
    assert (outputs.grad[..., 1:] == 0).all()


def test_boxes_that_do_not_fit_are_one_sentence() -> None:
    sentence = (
        "boxes of shape (1, 3, 5) do not fit outputs of shape (2, 4, 4, 8); give (images, objects, 5), left, top, "
        "right, bottom and class, for outputs (images, rows, columns, 5 + classes)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        grid_loss(Tensor(np.zeros((2, 4, 4, 8))), BOXES[:1])
    with pytest.raises(ValueError, match=r"^there is no class 2 among 2; they are numbered from 0$"):
        grid_loss(Tensor(np.zeros((3, 4, 4, 7))), BOXES)
