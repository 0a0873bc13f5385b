# SPDX-License-Identifier: MIT
"""Overlap of boxes, and non-maximum suppression, against counted pixels and a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedpoint_nn.training.detection import overlaps, suppress


def pixels(box: tuple[int, int, int, int]) -> set[tuple[int, int]]:
    left, top, right, bottom = box
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


def counted(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> float:
    common, union = pixels(first) & pixels(second), pixels(first) | pixels(second)
    return len(common) / len(union) if union else 0.0


BOXES = st.tuples(*[st.integers(0, 6)] * 4)


@given(st.lists(BOXES, min_size=1, max_size=4), st.lists(BOXES, min_size=1, max_size=4))
def test_overlap_is_intersection_over_union(first, second) -> None:
    found = overlaps(np.array(first, float), np.array(second, float))
    assert found.tolist() == [[pytest.approx(counted(a, b)) for b in second] for a in first]


def test_boxes_of_a_batch_meet_those_of_their_own_image() -> None:
    first = np.array([[[0, 0, 2, 2]], [[0, 0, 4, 4]]], float)
    second = np.array([[[0, 0, 2, 4], [2, 2, 3, 3]], [[0, 0, 4, 4], [9, 9, 9, 9]]], float)
    assert overlaps(first, second).tolist() == [[[0.5, 0.0]], [[1.0, 0.0]]]


def test_a_box_is_kept_unless_a_better_one_that_is_kept_hides_it() -> None:
    # In a row, each 10 wide and 2 to the right of the last: neighbours share 8 of 12, the next but one 6 of 14.
    boxes = np.array([[2 * step, 0, 2 * step + 10, 10] for step in range(4)], float)
    # Box 1 goes because of box 0; so box 2 stays, and box 3 goes because of it.
    assert suppress(boxes, np.array([0.9, 0.8, 0.7, 0.6])).tolist() == [True, False, True, False]
    assert suppress(boxes, np.array([0.6, 0.7, 0.8, 0.9])).tolist() == [False, True, False, True]
    assert suppress(boxes, np.array([0.9, 0.8, 0.7, 0.6]), most=0.7).all()


def test_of_equal_scores_the_first_is_kept() -> None:
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 4]], float)
    assert suppress(boxes, np.array([0.5, 0.5])).tolist() == [True, False]


@given(
    st.lists(st.tuples(BOXES, st.integers(0, 3)), min_size=1, max_size=8), st.sampled_from([0.0, 0.3, 0.5])
)
def test_suppression_is_that_of_a_loop_in_each_image(given_boxes, most: float) -> None:
    boxes = np.array([box for box, _ in given_boxes], float)
    scores = np.array([score for _, score in given_boxes], float)
    kept: list[int] = []
    for place in sorted(range(len(boxes)), key=lambda place: -scores[place]):
        if all(counted(given_boxes[place][0], given_boxes[other][0]) <= most for other in kept):
            kept.append(place)
    expected = [place in kept for place in range(len(boxes))]
    assert suppress(boxes, scores, most).tolist() == expected
    both = suppress(np.stack([boxes, boxes[::-1]]), np.stack([scores, scores[::-1]]), most)
    assert both[0].tolist() == expected
    assert both.shape == (2, len(boxes))
