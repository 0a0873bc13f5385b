# SPDX-License-Identifier: MIT
"""Object detection: images with one to three garments of Fashion-MNIST at random sizes and places.

Training scenes use garments of the training set, test scenes those of the test set. A box is (left, top, right,
bottom) in pixels, with exclusive ends: a garment of 20 columns that begins in column 5 has left 5 and right 25.
"""

from __future__ import annotations

from functools import cache
from math import hypot

import numpy as np

from fixedpoint_nn.data.examples import Examples
from fixedpoint_nn.data.images import fashion_mnist
from fixedpoint_nn.numerics.arrays import Array

SIDE = 64
MOST = 3  # garments in a scene
ABSENT = -1  # in all five columns of a row without a garment
SMALLEST, LARGEST = 0.75, 1.5  # of the garment's own size
APART = 12.0  # pixels between the centres of two garments, at least
TRIES = 20
INK = 0.05  # pixels darker than this are the photograph's background


def scenes(n: int = 2000, seed: int = 0) -> tuple[Examples, Examples]:
    """(train, test), `n` scenes each: x (n, 64, 64, 1), and y (n, 3, 5), the box and the class of up to three garments.

    Rows of y without a garment are -1.
    """
    if n < 1:
        raise ValueError(f"There must be 1 scene or more, not {n}.")
    found = []
    for garments, split in zip(fashion_mnist(), (0, 1), strict=True):
        x, y = compose(garments, n, np.random.default_rng([seed, split]))
        found.append(Examples(x, y, garments.classes))
    return found[0], found[1]


def compose(garments: Examples, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """(images, labels) of `n` scenes drawn by `rng` from these garments; the shapes are those of `scenes`."""
    x = np.empty((n, SIDE, SIDE, 1), np.float32)
    y = np.full((n, MOST, 5), ABSENT, np.float32)
    for scene, found in zip(x, y, strict=True):
        scene[..., 0] = _ground(rng)
        chosen = rng.integers(0, len(garments), rng.integers(1, MOST + 1))
        placed = 0
        for index in chosen:
            picture, ink = _sized(garments.x[index, ..., 0], rng.uniform(SMALLEST, LARGEST))
            box = _place(picture.shape, found[:placed], rng)
            if box is None:
                continue
            left, top, right, bottom = box
            under = scene[top:bottom, left:right, 0]
            under += picture - under * ink
            found[placed] = (*box, garments.y[index])
            placed += 1
    return x, y


def _ground(rng: np.random.Generator) -> Array:
    """The background (64, 64): a grey gradient in a random direction, with a little noise."""
    low, high = rng.uniform(0, 0.35, 2)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.linspace(-0.5, 0.5, SIDE)
    slope = np.cos(angle) * along + np.sin(angle) * along[:, np.newaxis]
    grey = low + (high - low) * (slope / np.sqrt(2) + 0.5) + rng.normal(0, 0.03, (SIDE, SIDE))
    return np.asarray(grey.clip(0, 1), np.float32)


def _sized(image: Array, scale: float) -> tuple[Array, Array]:
    """(image, coverage) of a garment cropped to its bounding box and scaled; coverage is 0 to 1 per pixel."""
    inked = image > INK
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cover = inked[part].astype(np.float32)
    height, width = (max(4, round(scale * length)) for length in cover.shape)
    down, across = _stretch(cover.shape[0], height), _stretch(cover.shape[1], width).T
    return down @ (image[part] * cover) @ across, down @ cover @ across


@cache
def _stretch(before: int, after: int) -> Array:
    """The matrix (after, before) of linear interpolation from `before` to `after` pixel centres."""
    places = ((np.arange(after) + 0.5) * before / after - 0.5).clip(0, before - 1)
    first = np.minimum(places.astype(np.int64), max(before - 2, 0))
    share = places - first
    matrix = np.zeros((after, before), np.float32)
    rows = np.arange(after)
    matrix[rows, first] = 1 - share
    matrix[rows, np.minimum(first + 1, before - 1)] += share
    return matrix


def _place(
    shape: tuple[int, ...], others: Array, rng: np.random.Generator
) -> tuple[int, int, int, int] | None:
    """A random box of this shape that leaves the others visible; None if no attempt found one."""
    height, width = shape
    for _ in range(TRIES):
        left, top = int(rng.integers(0, SIDE - width + 1)), int(rng.integers(0, SIDE - height + 1))
        box = left, top, left + width, top + height
        if all(_leaves_visible(box, other) for other in others[:, :4]):
            return box
    return None


def _leaves_visible(box: tuple[int, int, int, int], other: Array) -> bool:
    """Whether the centres are far enough apart, and less than a fifth of the smaller box is covered."""
    left, top, right, bottom = box
    across, down, end, floor = map(float, other)
    if hypot(left + right - across - end, top + bottom - down - floor) < 2 * APART:
        return False
    common = max(0.0, min(right, end) - max(left, across)) * max(0.0, min(bottom, floor) - max(top, down))
    return common < 0.2 * min((right - left) * (bottom - top), (end - across) * (floor - down))
