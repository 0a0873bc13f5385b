# SPDX-License-Identifier: MIT
"""Average precision of cases that are worked out by hand, and against a slow loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedpoint_nn.training.detection import (
    RANGE,
    Detections,
    average_precision,
    mean_average_precision,
    overlaps,
)

SQUARE, FAR = (0, 0, 10, 10), (30, 30, 40, 40)
NOTHING = (-1, -1, -1, -1, -1)


def found(*images: list[tuple[tuple[int, ...], int, float]]) -> Detections:
    """Detections of images, each (box, class, score)."""
    most = max(map(len, images))
    boxes, classes = np.zeros((len(images), most, 4)), np.zeros((len(images), most), np.int64)
    scores = np.full((len(images), most), -1.0)
    for image, rows in enumerate(images):
        for rank, (box, label, score) in enumerate(sorted(rows, key=lambda row: -row[2])):
            boxes[image, rank], classes[image, rank], scores[image, rank] = box, label, score
    return Detections(boxes, classes, scores)


def test_all_right_is_one_and_nothing_found_is_zero() -> None:
    boxes = np.array([[(*SQUARE, 0), (*FAR, 1)], [(*FAR, 1), NOTHING]], float)
    everything = found([(SQUARE, 0, 0.9), (FAR, 1, 0.6)], [(FAR, 1, 0.8)])
    assert mean_average_precision(everything, boxes) == 1
    assert mean_average_precision(everything, boxes, RANGE) == 1
    assert mean_average_precision(found([], [(SQUARE, 0, 0.9)]), boxes) == 0


def test_a_false_alarm_costs_only_what_is_less_sure() -> None:
    boxes = np.array([[(*SQUARE, 0), (*FAR, 0)]], float)
    wrong = (50, 0, 60, 10)
    # Right, wrong, right: precision 1 at half of the recall, 2/3 at all of it.
    between = found([(SQUARE, 0, 0.9), (wrong, 0, 0.8), (FAR, 0, 0.7)])
    assert mean_average_precision(between, boxes) == pytest.approx((1 + 2 / 3) / 2)
    last = found([(SQUARE, 0, 0.9), (FAR, 0, 0.7), (wrong, 0, 0.6)])
    assert mean_average_precision(last, boxes) == 1
    # Wrong, right, right: 1/2 and then 2/3; at half of the recall the better of the two counts.
    first = found([(wrong, 0, 0.95), (SQUARE, 0, 0.9), (FAR, 0, 0.7)])
    assert mean_average_precision(first, boxes) == pytest.approx(2 / 3)


def test_an_object_is_found_once() -> None:
    boxes = np.array([[(*SQUARE, 0), (*FAR, 0)]], float)
    twice = found([(SQUARE, 0, 0.9), (SQUARE, 0, 0.8), (FAR, 0, 0.7)])
    assert mean_average_precision(twice, boxes) == pytest.approx((1 + 2 / 3) / 2)


def test_a_right_box_of_the_wrong_class_is_wrong() -> None:
    boxes = np.array([[(*SQUARE, 0), (*FAR, 1)]], float)
    assert mean_average_precision(found([(SQUARE, 1, 0.9), (FAR, 1, 0.5)]), boxes) == pytest.approx(0.5 / 2)


def test_the_overlap_decides_from_half_on() -> None:
    boxes = np.array([[(0, 0, 10, 10, 0)]], float)
    half, less = (0, 0, 10, 5), (0, 0, 10, 4)  # they overlap by 0.5 and by 0.4
    assert mean_average_precision(found([(half, 0, 0.9)]), boxes) == 1
    assert mean_average_precision(found([(less, 0, 0.9)]), boxes) == 0
    assert mean_average_precision(found([((0, 0, 10, 8), 0, 0.9)]), boxes, RANGE) == pytest.approx(0.7)
    assert RANGE == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_the_mean_is_that_of_the_classes_that_there_are() -> None:
    boxes = np.array([[(*SQUARE, 0)], [(*FAR, 4)]], float)
    stray = found([(SQUARE, 0, 0.9), (FAR, 2, 0.9)], [(SQUARE, 4, 0.9)])
    assert mean_average_precision(stray, boxes) == pytest.approx(0.5)


def test_boxes_without_objects_are_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^average precision needs objects, and these boxes have none$"):
        mean_average_precision(found([(SQUARE, 0, 0.9)]), np.array([[NOTHING]], float))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12), st.integers(1, 6))
def test_the_area_is_the_sum_over_steps_of_recall(rows, more: int) -> None:
    scores = np.array([score for score, _ in rows], float)
    right = np.array([hit for _, hit in rows], bool)
    objects = int(right.sum()) + more
    ranked = [hit for _, hit in sorted(rows, key=lambda row: -row[0])]
    points = [(sum(ranked[: n + 1]) / objects, sum(ranked[: n + 1]) / (n + 1)) for n in range(len(ranked))]
    area = 0.0
    for step in range(1, objects + 1):
        reached = [precision for recall, precision in points if recall >= step / objects - 1e-12]
        area += max(reached, default=0) / objects
    assert average_precision(scores, right, objects) == pytest.approx(area)


BOX = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 5), st.integers(1, 5)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
SCENE = st.tuples(
    st.lists(st.tuples(BOX, st.integers(0, 1)), min_size=1, max_size=3),
    st.lists(st.tuples(BOX, st.integers(0, 1)), max_size=5),
)


@given(st.lists(SCENE, min_size=1, max_size=4), st.randoms())
def test_the_figure_is_that_of_a_loop_over_all_detections(scenes, random) -> None:
    ranks = list(range(sum(len(told) for _, told in scenes)))
    random.shuffle(ranks)
    scored = [
        [(box, label, 1 - ranks.pop() / 100) for box, label in told] for _, told in scenes
    ]  # no two scores are equal
    boxes = np.array(
        [[*((*box, label) for box, label in real), *[NOTHING] * (3 - len(real))] for real, _ in scenes], float
    )
    precisions = []
    for label in sorted({own for real, _ in scenes for _, own in real}):
        taken: set[tuple[int, int]] = set()
        hits = []
        everything = [
            (score, image, box)
            for image, rows in enumerate(scored)
            for box, own, score in rows
            if own == label
        ]
        for _, image, box in sorted(everything, reverse=True):
            shares = {
                which: float(overlaps(np.array([box], float), np.array([real], float))[0, 0])
                for which, (real, own) in enumerate(scenes[image][0])
                if own == label and (image, which) not in taken
            }
            best = max(shares, key=lambda which: shares[which], default=None)
            hits.append(best is not None and shares[best] >= 0.5)
            if hits[-1]:
                taken.add((image, best))
        objects = sum(own == label for real, _ in scenes for _, own in real)
        precisions.append(
            average_precision(np.arange(len(hits), 0, -1, dtype=float), np.array(hits, bool), objects)
        )
    assert mean_average_precision(found(*scored), boxes) == pytest.approx(np.mean(precisions))
