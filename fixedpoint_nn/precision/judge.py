# SPDX-License-Identifier: MIT
"""Evaluation of a model on data, block by block: its metric with an interval, and its predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.precision.labels import class_labels_fit
from fixedpoint_nn.precision.metric import Metric, interval
from fixedpoint_nn.precision.scores import predictions
from fixedpoint_nn.training.losses import IGNORED

BLOCK = 1024  # samples at a time

Model = Callable[[Array], Array]


@dataclass(frozen=True)
class Judgement:
    """An evaluation: the scores of all samples if the metric is their mean, else the outputs.

    `predicted` are class indices if `classes`, else the outputs themselves.
    """

    metric: Metric
    labels: Array
    scores: Array | None
    outputs: Array | None
    predicted: Array
    classes: bool

    @cached_property
    def value(self) -> float:
        """The value of the metric."""
        if self.scores is not None:
            return float(self.scores.mean())
        assert self.outputs is not None
        return self.metric.value(self.outputs, self.labels)

    def interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval (low, high) of the value."""
        if self.scores is not None:
            return interval(self.scores)
        assert self.outputs is not None
        return self.metric.drawn_interval(self.outputs, self.labels)

    @property
    def count(self) -> int:
        """The number of labels that count, without padding."""
        return int(np.size(self.labels if self.scores is None else self.scores))

    def changed_from(self, predicted: Array) -> int:
        """The number of predictions, without padding, that differ from `predicted`; of a regression, of samples."""
        other = self.predicted != predicted
        if not self.classes:
            other = other.reshape(len(other), -1).any(-1)
        elif other.ndim > 1:
            other = other[self.labels != IGNORED]
        return int(np.count_nonzero(other))


def judge(model: Model, x: Array, y: Array, metric: Metric, ledger: OverflowStats | None = None) -> Judgement:
    """Evaluate `model` on x (n, ...) and labels y by the metric, in blocks."""
    scores, outputs, predicted, classes = [], [], [], False
    for start in range(0, len(x), BLOCK):
        if ledger is not None:
            ledger.first_row = start
        given, labels = model(x[start : start + BLOCK]), y[start : start + BLOCK]
        if metric.scores is None:
            outputs.append(given)
        else:
            scores.append(metric.scores(given, labels))
        classes = labels.dtype.kind in "iub" and class_labels_fit(labels, given.shape)
        predicted.append(predictions(given) if classes else given)
    return Judgement(
        metric,
        y,
        np.concatenate(scores) if scores else None,
        np.concatenate(outputs) if outputs else None,
        np.concatenate(predicted),
        classes,
    )
