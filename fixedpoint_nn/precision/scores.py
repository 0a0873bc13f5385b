# SPDX-License-Identifier: MIT
"""The formulas of the metrics: one score per label that counts, or one value for all samples.

Outputs are floats (samples, ..., outputs). Class labels are integers (samples, ...), where -1 is padding that does not
count; with a single output they are 0 and 1, or -1 and 1. Targets have the shape of the outputs, axes of one
aside. Boxes (samples, objects, 5) are compared with the outputs of a detection grid (see `training.detection`).
"""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.detection import RANGE, detections, mean_average_precision
from fixedpoint_nn.training.losses import IGNORED
from fixedpoint_nn.training.metrics import area_under_curve

MOST_GUESSES = 5


def predictions(outputs: Array) -> Array:
    """The argmax of the outputs, (samples, ...), the first of equal ones; with a single output, 1 if it is positive."""
    if outputs.shape[-1] == 1:
        return np.asarray(outputs[..., 0] > 0).astype(np.int64)
    return np.asarray(outputs.argmax(-1), np.int64)


def accuracy(outputs: Array, labels: Array) -> Array:
    """True where the prediction equals the label."""
    if outputs.shape[-1] == 1:
        return np.asarray(predictions(outputs) == _positive(outputs, labels))
    return np.asarray((predictions(outputs) == labels)[labels != IGNORED])


def top5(outputs: Array, labels: Array) -> Array:
    """True where the label is among the five largest outputs; of equal ones, the first count."""
    outputs, labels = _counted(outputs, labels)
    own = np.take_along_axis(outputs, labels[:, np.newaxis], -1)
    earlier = np.arange(outputs.shape[-1]) < labels[:, np.newaxis]
    before = (outputs > own) | ((outputs == own) & earlier)
    return np.asarray(before.sum(-1) < MOST_GUESSES)


def nll(outputs: Array, labels: Array) -> Array:
    """-log softmax(outputs)[label] in nats; with a single output, -log sigmoid of it for 1, of -it for 0."""
    if outputs.shape[-1] == 1:
        signed = np.where(_positive(outputs, labels), 1.0, -1.0) * outputs[..., 0].astype(np.float64)
        return np.asarray(np.logaddexp(0, -signed))
    outputs, labels = _counted(outputs, labels)
    outputs = outputs.astype(np.float64)
    outputs -= outputs.max(-1, keepdims=True)
    own = np.take_along_axis(outputs, labels[:, np.newaxis], -1)[:, 0]
    return np.asarray(np.log(np.exp(outputs).sum(-1)) - own)


def mse(outputs: Array, targets: Array) -> Array:
    """(output - target)², averaged over each sample: (samples,)."""
    return _each_sample(np.square(_errors(outputs, targets)))


def mae(outputs: Array, targets: Array) -> Array:
    """|output - target|, averaged over each sample: (samples,)."""
    return _each_sample(np.abs(_errors(outputs, targets)))


def auc(outputs: Array, labels: Array) -> float:
    """The area under the ROC curve of a single output, or of the difference of two outputs.

    It is the probability that a sample of class 1 scores higher than one of class 0, ties counting half; NaN if a
    class is missing.
    """
    values = outputs[..., 0] if outputs.shape[-1] == 1 else outputs[..., 1] - outputs[..., 0]
    return area_under_curve(values, labels > 0)


def map50(outputs: Array, boxes: Array) -> float:
    """The mean average precision over the classes, at an IoU of at least 0.5."""
    return mean_average_precision(detections(outputs), boxes)


def map50_95(outputs: Array, boxes: Array) -> float:
    """The mean average precision over the classes and over the IoU thresholds 0.50, 0.55, ... 0.95."""
    return mean_average_precision(detections(outputs), boxes, RANGE)


def _positive(outputs: Array, labels: Array) -> Array:
    return np.asarray(labels.reshape(outputs.shape[:-1]) > 0)


def _counted(outputs: Array, labels: Array) -> tuple[Array, Array]:
    """Outputs (labels, outputs) and labels (labels,) without padding."""
    counted = labels != IGNORED
    return outputs[counted], labels[counted].astype(np.int64)


def _errors(outputs: Array, targets: Array) -> Array:
    return np.asarray(outputs.astype(np.float64) - targets.reshape(outputs.shape))


def _each_sample(errors: Array) -> Array:
    return np.asarray(errors.reshape(len(errors), -1).mean(-1))
