# SPDX-License-Identifier: MIT
"""Average precision of detections: the area under precision over recall, in order of descending score."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.detection.boxes import overlaps
from fixedpoint_nn.training.detection.grid import Detections

RANGE = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))  # 0.50, 0.55, ... 0.95


def mean_average_precision(found: Detections, boxes: Array, least: float | tuple[float, ...] = 0.5) -> float:
    """mAP: the mean average precision over the classes in `boxes`, and over the IoU thresholds `least`.

    boxes (images, objects, 5) are (left, top, right, bottom, class); rows without an object have class -1.
    """
    wanted = np.unique(boxes[..., 4][boxes[..., 4] >= 0])
    if not wanted.size:
        raise ValueError("average precision needs objects, and these boxes have none")
    limits = least if isinstance(least, tuple) else (least,)
    shared = _shared(found, boxes)
    there = found.scores >= 0
    precisions = []
    for limit in limits:
        right = _right(shared, limit)
        for label in wanted:
            own = there & (found.classes == label)
            precisions.append(
                average_precision(found.scores[own], right[own], int((boxes[..., 4] == label).sum()))
            )
    return float(np.mean(precisions))


def average_precision(scores: Array, right: Array, objects: int) -> float:
    """The area under the interpolated precision-recall curve; scores and right are (detections,).

    `right` marks the detections that found one of the `objects` which no detection of a higher score had found. Of
    equal scores the first comes first.
    """
    order = np.argsort(-scores, kind="stable")
    hits = right[order].cumsum()
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right[order]].sum() / objects)


def _shared(found: Detections, boxes: Array) -> Array:
    """IoU (images, detections, objects); -1 for objects of another class and for empty rows."""
    same = found.classes[:, :, np.newaxis] == boxes[:, np.newaxis, :, 4]
    same &= found.scores[:, :, np.newaxis] >= 0
    return np.where(same, overlaps(found.boxes, boxes[..., :4].astype(np.float64)), -1.0)


def _right(shared: Array, least: float) -> Array:
    """Which detections are right: in order of score, each is matched to the unmatched object of the largest IoU."""
    images, ranks, objects = shared.shape
    free = np.ones((images, objects), np.bool_)
    right = np.zeros((images, ranks), np.bool_)
    image = np.arange(images)
    for rank in range(ranks):
        best = np.where(free, shared[:, rank], -1.0)
        place = best.argmax(-1)
        right[:, rank] = best[image, place] >= least
        free[image, place] &= ~right[:, rank]
    return right
