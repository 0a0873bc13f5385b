# SPDX-License-Identifier: MIT
"""Outputs of a detection grid, (images, rows, columns, 5 + classes), and the boxes that they encode.

A cell of 8 x 8 pixels is responsible for the object whose centre lies in it. Its outputs are the logit of an object
being there, the centre (x, y), the size (width, height), and the logits of the classes. Centres are relative to the
centre of the cell, sizes to 28 pixels, both in units of 2 pixels, so that all outputs have similar ranges and one
format of few bits fits them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.detection.boxes import suppress

CELL = 8.0  # pixels
UNIT = 2.0  # pixels
USUAL = 28.0  # pixels, of an object's width and height
BOX = slice(1, 5)
HEAD = 5  # outputs before those of the classes
CANDIDATES = 24  # the cells of an image with the highest scores, which alone are decoded
ABSENT = -1.0  # the score of unused and suppressed rows


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections by descending score: boxes (images, n, 4), classes and scores (images, n).

    A score is the probability of an object times that of its class; unused rows have the score -1.
    """

    boxes: Array
    classes: Array
    scores: Array

    def of(self, image: int, least: float = 0.5) -> list[tuple[Array, int, float]]:
        """(box, class, score) of every detection in one image with a score of at least `least`."""
        rows = np.flatnonzero(self.scores[image] >= least)
        return [
            (self.boxes[image, row], int(self.classes[image, row]), float(self.scores[image, row]))
            for row in rows
        ]


def centres(rows: int, columns: int) -> Array:
    """The centres (x, y) of all cells in pixels: (rows, columns, 2)."""
    down, across = np.mgrid[:rows, :columns]
    return np.asarray((np.stack([across, down], -1) + 0.5) * CELL)


def boxes_fit(boxes: Array, shape: tuple[int, ...]) -> bool:
    """Whether boxes (images, objects, 5) can be labels of outputs (images, rows, columns, 5 + classes)."""
    return len(shape) == 4 and shape[-1] > HEAD and boxes.ndim == 3 and boxes.shape[::2] == (shape[0], 5)


def targets(boxes: Array, rows: int, columns: int) -> tuple[Array, Array]:
    """(cell index in row-major order (..., n), target of centre and size (..., n, 4)) of each object.

    Rows without an object, of class -1, have the cell index -1.
    """
    middle, size = (boxes[..., :2] + boxes[..., 2:4]) / 2, boxes[..., 2:4] - boxes[..., :2]
    cell = np.clip((middle // CELL).astype(np.int64), 0, [columns - 1, rows - 1])
    numbers = np.concatenate([(middle - (cell + 0.5) * CELL) / UNIT, (size - USUAL) / UNIT], -1)
    return np.where(boxes[..., 4] < 0, -1, cell[..., 1] * columns + cell[..., 0]), numbers


def detections(outputs: Array, most: float = 0.5) -> Detections:
    """Boxes from grid outputs (images, rows, columns, 5 + classes), after non-maximum suppression at the IoU `most`.

    At most 24 per image.
    """
    outputs = np.asarray(outputs, np.float64)
    images, rows, columns, width = outputs.shape
    if width <= HEAD:
        raise ValueError(
            f"a cell has {HEAD} outputs and one for each class, and these are {width}; give outputs of shape "
            "(images, rows, columns, 5 + classes)"
        )
    cells = outputs.reshape(images, rows * columns, width)
    likely = cells[..., HEAD:].max(-1, keepdims=True)
    share = 1 / np.exp(cells[..., HEAD:] - likely).sum(-1)
    scores = share / (1 + np.exp(-cells[..., 0].clip(-700, 700)))
    surest = np.argsort(-scores, axis=-1, kind="stable")[:, :CANDIDATES]
    cells, scores = (
        np.take_along_axis(cells, surest[..., np.newaxis], 1),
        np.take_along_axis(scores, surest, 1),
    )
    middles = centres(rows, columns).reshape(-1, 2)[surest] + UNIT * cells[..., 1:3]
    half = (USUAL + UNIT * cells[..., 3:5]).clip(0) / 2
    boxes = np.concatenate([middles - half, middles + half], -1)
    scores = np.where(suppress(boxes, scores, most), scores, ABSENT)
    order = np.argsort(-scores, axis=-1, kind="stable")
    return Detections(
        np.take_along_axis(boxes, order[..., np.newaxis], 1),
        np.take_along_axis(cells[..., HEAD:].argmax(-1), order, 1),
        np.take_along_axis(scores, order, 1),
    )
