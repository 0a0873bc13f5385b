# SPDX-License-Identifier: MIT
"""Composed scenes: the same for a seed, with boxes that fit their garments exactly, and garments of their own split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import data
from fixedpoint_nn.data.examples import Examples
from fixedpoint_nn.data.scenes import APART, LARGEST, MOST, SIDE, SMALLEST, _stretch, compose
from fixedpoint_nn.training.detection import overlaps

Real = Callable[..., Any]


@pytest.fixture(scope="module")
def garments() -> Examples:
    """White squares and bars of class 0, 1 and 2 that stand out from any ground; no file is needed."""
    x = np.zeros((3, 28, 28, 1), np.float32)
    x[0, 4:24, 4:24] = x[1, 2:26, 10:20] = x[2, 10:20, 1:27] = 1
    return Examples(x, np.array([0, 1, 2]), ("square", "tall", "flat"))


def test_a_seed_decides_all_scenes(garments: Examples) -> None:
    first, again, other = (compose(garments, 20, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_scenes_have_one_to_three_garments_inside_of_them(garments: Examples) -> None:
    x, y = compose(garments, 300, np.random.default_rng(0))
    assert x.shape == (300, SIDE, SIDE, 1) and y.shape == (300, MOST, 5)
    assert x.dtype == y.dtype == np.float32
    assert x.min() >= 0 and x.max() <= 1
    there = y[..., 4] >= 0
    assert set(there.sum(1)) == {1, 2, 3}
    assert (y[~there] == -1).all()
    boxes = y[there][:, :4]
    assert (boxes == boxes.astype(int)).all(), "edges of pixels"
    assert boxes.min() >= 0 and boxes.max() <= SIDE
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert set(y[there][:, 4]) == {0, 1, 2}


def test_sizes_keep_the_garments_proportions(garments: Examples) -> None:
    _, y = compose(garments, 300, np.random.default_rng(1))
    boxes = y[y[..., 4] >= 0]
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    for label, across, down in ((0, 20, 20), (1, 10, 24), (2, 26, 10)):
        own = boxes[:, 4] == label
        scale = np.maximum(width[own] / across, height[own] / down)
        assert scale.min() >= SMALLEST - 0.05 and scale.max() <= LARGEST + 0.05
        assert scale.std() > 0.1, "many sizes"
        assert np.abs(width[own] * down - height[own] * across).max() <= max(across, down)


def test_a_box_is_the_garments_outermost_pixels(garments: Examples) -> None:
    x, y = compose(garments, 200, np.random.default_rng(2))
    alone = (y[..., 4] >= 0).sum(1) == 1
    assert alone.sum() > 20
    for scene, (left, top, right, bottom, _) in zip(x[alone, ..., 0], y[alone, 0].astype(int)):
        inked = scene > 0.7
        rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
        assert (left, top, right, bottom) == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def test_garments_leave_each_other_visible(garments: Examples) -> None:
    _, y = compose(garments, 300, np.random.default_rng(3))
    for scene in y:
        boxes = scene[scene[:, 4] >= 0, :4].astype(float)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        distance = np.hypot(*(middle[:, None] - middle).transpose(2, 0, 1)) + 1e9 * np.eye(len(boxes))
        assert distance.min() >= APART
        assert (overlaps(boxes, boxes) - np.eye(len(boxes))).max() < 0.2


def test_an_interpolation_keeps_what_is_constant_and_what_is_straight() -> None:
    for before, after in ((1, 4), (2, 4), (20, 15), (20, 30), (28, 28)):
        matrix = _stretch(before, after)
        assert matrix.shape == (after, before)
        assert np.allclose(matrix.sum(1), 1)
        assert (matrix >= 0).all()
    assert np.array_equal(_stretch(28, 28), np.eye(28))
    assert np.allclose(np.diff(_stretch(20, 40)[1:-1] @ np.arange(20.0)), 0.5)


def test_each_split_shows_its_own_garments(real: Real) -> None:
    train, test = real(data.scenes, 4)
    again = data.scenes(4)
    photographs = real(data.fashion_mnist)
    for split, part in enumerate((train, test)):
        assert np.array_equal(part.x, again[split].x)
        assert part.classes == data.FASHION
        x, y = compose(photographs[split], 4, np.random.default_rng([0, split]))
        assert np.array_equal(part.x, x) and np.array_equal(part.y, y)


def test_no_scenes_are_one_sentence() -> None:
    with pytest.raises(ValueError) as caught:
        data.scenes(0)
    assert str(caught.value) == "There must be 1 scene or more, not 0."
