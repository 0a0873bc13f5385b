# SPDX-License-Identifier: MIT
"""The loss of a detection grid: objectness, box and class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.numbers.tensor.tensor import Tensor, record
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.detection.grid import BOX, HEAD, boxes_fit, targets
from fixedpoint_nn.training.losses import on_tape

BOX_SHARE = 0.5  # the weight of the Huber loss


def grid_loss(outputs: Tensor | Array, boxes: ArrayLike) -> Tensor:
    """Binary cross entropy of objectness, cross entropy of classes and Huber loss of boxes, summed, per object.

    outputs (images, rows, columns, 5 + classes); boxes (images, objects, 5) are (left, top, right, bottom, class), with
    class -1 in rows without an object. Objectness counts in every cell, box and class only in cells with an object.
    """
    outputs = on_tape(outputs)
    wanted = np.asarray(boxes)
    if not boxes_fit(wanted, outputs.shape):
        raise ValueError(
            f"boxes of shape {wanted.shape} do not fit outputs of shape {outputs.shape}; give (images, objects, 5), "
            "left, top, right, bottom and class, for outputs (images, rows, columns, 5 + classes)"
        )
    images, rows, columns, width = outputs.shape
    cells = outputs.data.reshape(images, rows * columns, width)
    places, numbers = targets(wanted.astype(np.float64), rows, columns)
    image, one = np.nonzero(places >= 0)
    place, label = places[image, one], wanted[image, one, 4].astype(np.int64)
    if label.size and label.max() >= width - HEAD:
        raise ValueError(f"there is no class {label.max()} among {width - HEAD}; they are numbered from 0")
    count = max(len(label), 1)

    sure = cells[..., 0]
    there = np.zeros_like(sure)
    there[image, place] = 1
    objects = np.maximum(sure, 0) - sure * there + np.log1p(np.exp(-np.abs(sure)))
    told = cells[image, place]
    missed = told[:, BOX] - numbers[image, one].astype(told.dtype)
    far = np.abs(missed)
    huber = np.where(far < 1, 0.5 * missed**2, far - 0.5)
    logits = told[:, HEAD:] - told[:, HEAD:].max(-1, keepdims=True)
    probability = np.exp(logits)
    total = probability.sum(-1, keepdims=True)
    each = np.log(total[:, 0]) - logits[np.arange(len(label)), label]
    value = (objects.sum() + each.sum() + BOX_SHARE * huber.sum()) / count

    def backward(g: Array) -> None:
        gradient = np.zeros_like(cells)
        gradient[..., 0] = 0.5 + 0.5 * np.tanh(0.5 * sure) - there
        inner = probability / total
        inner[np.arange(len(label)), label] -= 1
        gradient[image, place, BOX] = BOX_SHARE * missed.clip(-1, 1)
        gradient[image, place, HEAD:] = inner
        outputs.add_gradient((gradient * (g / count)).reshape(outputs.shape))

    return record(np.asarray(value, outputs.data.dtype), "grid_loss", (outputs,), backward)
