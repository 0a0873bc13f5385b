# SPDX-License-Identifier: MIT
"""The default metric for given labels, and strict checks that labels fit a metric, without broadcasting."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.metric import Metric
from fixedpoint_nn.precision.scores import MOST_GUESSES
from fixedpoint_nn.training.detection.grid import HEAD, boxes_fit
from fixedpoint_nn.training.loss_for import targets_fit
from fixedpoint_nn.training.losses import IGNORED

Shape = tuple[int, ...]


def default_metric(labels: Array, shape: Shape) -> Metric:
    """Accuracy for one class per sample, nll for sequences of classes, mse for targets, mAP for boxes.

    `shape` is the shape of the network's outputs for all samples.
    """
    if _whole(labels) and class_labels_fit(labels, shape):
        return Metric.ACCURACY if len(shape) == 2 else Metric.NLL
    if labels.dtype.kind == "f" and targets_fit(labels, shape):
        return Metric.MSE
    if boxes_fit(labels, shape):
        return Metric.MAP50
    raise ValueError(f"{_told(labels, shape)} imply no metric: {_way_out(labels, shape)}")


def demand_fitting(metric: Metric, labels: Array, shape: Shape) -> None:
    """Raise ValueError unless the metric can compare outputs of this shape with these labels."""
    if metric.labels == "anything":
        return
    if metric.labels == "targets":
        if labels.dtype.kind not in "iuf" or not targets_fit(labels, shape):
            raise ValueError(
                f"{metric.name} needs numbers of the outputs' shape {shape}, not "
                f"{labels.dtype} of shape {labels.shape}; {_reshaping(labels, shape)}"
            )
        return
    if metric.labels == "boxes":
        _demand_boxes(metric, labels, shape)
        return
    if not (_whole(labels) and class_labels_fit(labels, shape)):
        raise ValueError(
            f"{_told(labels, shape)} cannot be judged by {metric.name}: {_way_out(labels, shape)}"
        )
    if shape[-1] == 1:
        _demand_two_values(labels)
    else:
        _demand_range(labels, shape[-1])
    if metric == Metric.TOP5 and shape[-1] <= MOST_GUESSES:
        raise ValueError(f"top5 of {shape[-1]} classes counts every answer as right; use accuracy, or nll")
    if metric == Metric.AUC:
        if shape[-1] > 2 or len(shape) != 2:
            raise ValueError(
                f"auc judges one output or two classes, not outputs of shape {shape}; use accuracy, or nll"
            )
        if len(np.unique(labels > 0)) < 2:
            raise ValueError(f"auc needs samples of both classes, and every label here is {labels.flat[0]}")


def class_labels_fit(labels: Array, shape: Shape) -> bool:
    """Whether there is one label for each row of outputs; for a single output, a column of labels fits too."""
    return labels.shape == shape[:-1] or (shape[-1] == 1 and labels.shape == shape)


def _whole(labels: Array) -> bool:
    return labels.dtype.kind in "iub"


def _demand_two_values(labels: Array) -> None:
    values = np.unique(labels)
    if not (np.isin(values, (0, 1)).all() or np.isin(values, (-1, 1)).all()):
        raise ValueError(
            f"labels of a single output are 0 and 1, or -1 and 1, and these run from {values[0]} to "
            f"{values[-1]}; if they are targets, pass floats, y.astype(float)"
        )


def _demand_range(labels: Array, classes: int) -> None:
    if labels.size and not IGNORED <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}, but the network has {classes} outputs; "
            f"they are 0 to {classes - 1}, or {IGNORED} for padding"
        )
    if labels.size and int(labels.max()) == IGNORED:
        raise ValueError(f"every label is {IGNORED}, padding, so there is nothing to judge; give real labels")


def _demand_boxes(metric: Metric, labels: Array, shape: Shape) -> None:
    """Raise ValueError unless the labels are boxes of at least one object, with classes that the network has."""
    if labels.dtype.kind not in "iuf" or not boxes_fit(labels, shape):
        raise ValueError(
            f"{metric.name} judges outputs (samples, rows, columns, 5 + classes) by boxes (samples, objects, 5), "
            f"and here are outputs of shape {shape} and {labels.dtype} of shape {labels.shape}"
        )
    found = labels[..., 4][labels[..., 4] >= 0]
    if not found.size:
        raise ValueError(f"{metric.name} needs objects, and every box here has the class -1; give real boxes")
    classes = shape[-1] - HEAD
    if found.max() >= classes:
        raise ValueError(
            f"boxes have classes up to {found.max():g}, but the network has outputs for {classes}; "
            f"they are 0 to {classes - 1}, or {IGNORED} where there is no object"
        )


def _told(labels: Array, shape: Shape) -> str:
    return f"labels of {labels.dtype} and shape {labels.shape} for outputs of shape {shape}"


def _way_out(labels: Array, shape: Shape) -> str:
    """The end of the message, with the way out of a common mistake."""
    if not _whole(labels) and labels.dtype.kind != "f":
        return "use whole numbers for classes, or floats for targets"
    if shape[-1] > 1 and labels.shape == (*shape[:-1], 1) and _whole(labels):
        return "classes are one number for each sample, y[..., 0]"
    if _whole(labels) and labels.shape == shape:
        one_hot = "classes are one number for each sample, y.argmax(-1) of one-hot rows"
        return f"{one_hot}; targets are floats, y.astype(float)"
    if not _whole(labels) and targets_fit(labels, shape):
        return "classes are whole numbers, one for each sample; targets have the metrics mse and mae"
    if labels.shape == shape[:-1]:
        return "classes are whole numbers, y.astype(int)"
    return f"classes are whole numbers of shape {shape[:-1]}, targets floats of shape {shape}"


def _reshaping(labels: Array, shape: Shape) -> str:
    if labels.dtype.kind not in "iuf":
        return "use floats"
    return f"write y.reshape{shape}" if labels.size == np.prod(shape) else "give a target for every output"
