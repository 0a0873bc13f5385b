# SPDX-License-Identifier: MIT
"""Boxes (left, top, right, bottom) in pixels: intersection over union, and non-maximum suppression."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numerics.arrays import Array


def overlaps(first: Array, second: Array) -> Array:
    """Intersection over union of each of (..., n, 4) with each of (..., m, 4): (..., n, m); 0 for empty boxes."""
    first, second = first[..., :, np.newaxis, :], second[..., np.newaxis, :, :]
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    common = (high - low).clip(0).prod(-1)
    union = _area(first) + _area(second) - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def suppress(boxes: Array, scores: Array, most: float = 0.5) -> Array:
    """Non-maximum suppression: True for each box whose IoU with every kept box of a higher score is at most `most`.

    boxes (..., n, 4), scores (..., n) -> (..., n); of equal scores the first wins.
    """
    order = np.argsort(-scores, axis=-1, kind="stable")
    ranked = np.take_along_axis(boxes, order[..., np.newaxis], -2)
    hides = overlaps(ranked, ranked) > most
    kept = np.ones(scores.shape, np.bool_)
    for rank in range(scores.shape[-1]):
        kept[..., rank + 1 :] &= ~(hides[..., rank, rank + 1 :] & kept[..., rank, np.newaxis])
    result = np.empty_like(kept)
    np.put_along_axis(result, order, kept, -1)
    return result


def _area(boxes: Array) -> Array:
    return np.asarray((boxes[..., 2:] - boxes[..., :2]).clip(0).prod(-1))
