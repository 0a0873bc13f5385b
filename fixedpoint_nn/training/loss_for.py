# SPDX-License-Identifier: MIT
"""The loss that labels imply: cross entropy for classes, squared error for targets, grid loss for boxes."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.detection.grid import boxes_fit
from fixedpoint_nn.training.detection.loss import grid_loss
from fixedpoint_nn.training.losses import Loss, binary_cross_entropy, cross_entropy, mean_squared_error


def loss_for(labels: Array, shape: tuple[int, ...]) -> tuple[Loss, Array]:
    """(loss, labels for it) for outputs of this shape; labels -1 and 1 become 0 and 1."""
    if labels.dtype.kind in "iub" and shape[-1] == 1 and labels.shape in (shape, shape[:-1]):
        return binary_cross_entropy, np.asarray(labels > 0, np.float32)
    if labels.dtype.kind in "iub" and labels.shape == shape[:-1]:
        return cross_entropy, labels.astype(np.int64)
    if labels.dtype.kind == "f" and targets_fit(labels, shape):
        return mean_squared_error, labels
    if labels.dtype.kind == "f" and boxes_fit(labels, shape):
        return grid_loss, labels
    raise ValueError(
        f"labels of {labels.dtype} and shape {labels.shape} imply no loss for outputs of shape {shape}; classes are "
        f"whole numbers of shape {shape[:-1]}, targets floats of shape {shape}"
    )


def targets_fit(targets: Array, shape: tuple[int, ...]) -> bool:
    """Whether there is a target for each output; axes of one element do not matter, so (n,) fits outputs (n, 1)."""
    sizes = [[n for n in sides[1:] if n != 1] for sides in (targets.shape, shape)]
    return targets.shape[:1] == shape[:1] and sizes[0] == sizes[1]
