# SPDX-License-Identifier: MIT
"""What a cell says is what its object is: boxes become outputs, and outputs those boxes again."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer
from fixedpoint_nn.training.detection import detections
from fixedpoint_nn.training.detection.grid import CANDIDATES, targets

CLASSES = 3


def perfect(boxes: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The outputs of a network that knows these boxes."""
    outputs = np.zeros((len(boxes), rows * columns, 5 + CLASSES))
    outputs[..., 0] = -9
    places, numbers = targets(boxes, rows, columns)
    for image, objects in enumerate(boxes):
        for which, label in enumerate(objects[:, 4].astype(int)):
            if label >= 0:
                cell = outputs[image, places[image, which]]
                cell[0], cell[1:5], cell[5 + label] = 9, numbers[image, which], 8
    return outputs.reshape(len(boxes), rows, columns, -1)


def test_a_centre_belongs_to_its_cell_and_is_told_from_the_middle_of_it() -> None:
    boxes = np.array([[16, 10, 44, 38, 2], [0, 0, 0, 0, -1]], float)  # centre (30, 24): column 3, row 3
    places, numbers = targets(boxes, 6, 8)
    assert places.tolist() == [3 * 8 + 3, -1]
    # From (28, 28) it is 2 pixels to the right and 4 up, in units of two pixels; its size is the usual one.
    assert numbers[0].tolist() == [1, -2, 0, 0]


def test_an_object_at_the_very_edge_belongs_to_the_last_cell() -> None:
    assert targets(np.array([[64, 64, 64, 64, 0]], float), 8, 8)[0].tolist() == [63]


def test_boxes_come_back_from_the_outputs_of_a_perfect_network() -> None:
    boxes = np.array(
        [[[3, 4, 20, 30, 1], [30, 30, 61, 63, 0]], [[10, 20, 50, 44, 2], [-1, -1, -1, -1, -1]]], float
    )
    found = detections(perfect(boxes, 8, 8))
    assert found.scores.shape == (2, CANDIDATES)
    assert (np.diff(found.scores) <= 0).all(), "the surest come first"
    for image, objects in enumerate(boxes):
        told = {label: box.tolist() for box, label, _ in found.of(image)}
        assert told == {int(row[4]): row[:4].tolist() for row in objects if row[4] >= 0}


def test_a_score_is_the_probability_of_an_object_times_that_of_its_class() -> None:
    outputs = np.zeros((1, 1, 1, 8))
    outputs[0, 0, 0] = [np.log(3), 0, 0, 0, 0, np.log(2), np.log(6), 0]
    ((box, label, score),) = detections(outputs).of(0, least=0.4)
    assert label == 1
    assert score == pytest.approx(3 / 4 * 6 / 9)
    assert box.tolist() == [4 - 14, 4 - 14, 4 + 14, 4 + 14]


def test_a_size_is_never_negative_and_huge_logits_stay_finite() -> None:
    outputs = np.zeros((1, 1, 1, 8))
    outputs[0, 0, 0] = [-1e5, 0, 0, -100, 4, 1e5, 0, 0]
    found = detections(outputs)
    assert found.boxes[0, 0].tolist() == [4, 4 - 18, 4, 4 + 18]
    assert found.scores[0, 0] == pytest.approx(0)
    assert found.scores[0, 0] >= 0


def test_two_cells_that_see_the_same_object_give_one_detection() -> None:
    outputs = perfect(np.array([[[16, 10, 44, 38, 2]]], float), 8, 8)
    outputs[0, 3, 4] = outputs[0, 3, 3]
    outputs[0, 3, 4, 0] = 5  # less sure
    outputs[0, 3, 4, 1] = -3  # 4 + 2 pixels to the left: the same place
    ((box, label, _),) = detections(outputs).of(0)
    assert (box.tolist(), label) == ([16, 10, 44, 38], 2)


def test_integers_say_what_their_floats_say() -> None:
    rng = np.random.default_rng(0)
    fixed = FixedArray.from_float(rng.standard_normal((2, 4, 4, 8)), Quantizer(Q(4, 4)))
    again = FixedArray.from_ints(fixed.ints, fixed.format)
    first, second = detections(fixed.to_float()), detections(again.to_float())
    assert np.array_equal(first.boxes, second.boxes)
    assert np.array_equal(first.scores, second.scores)


def test_outputs_without_classes_are_one_sentence() -> None:
    with pytest.raises(
        ValueError,
        match=r"^a cell has 5 outputs and one for each class, and these are 5; give outputs of shape ",
    ):
        detections(np.zeros((1, 8, 8, 5)))
