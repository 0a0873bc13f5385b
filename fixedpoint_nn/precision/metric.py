# SPDX-License-Identifier: MIT
"""Metrics: a figure of merit, its direction, and its confidence interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from math import isfinite
from typing import ClassVar

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision import scores
from fixedpoint_nn.precision.content import function_digest

RESAMPLES = 1000
DEGENERATE = (ValueError, ArithmeticError)  # of a resample without one of its classes

Function = Callable[[Array, Array], float]


@dataclass(frozen=True)
class Metric:
    """A metric of a network's outputs against labels.

    It is the mean of `scores(outputs, labels)`, one per label that counts, or `function(outputs, labels)` of all
    samples at once. `labels` is the kind of labels: "classes", "targets" (of the outputs' shape), "two classes",
    "boxes" or "anything".

    >>> Metric.of("accuracy").value(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """

    name: str
    more_is_better: bool
    labels: str
    scores: Callable[[Array, Array], Array] | None = None
    function: Function | None = None
    in_points: bool = False  # a share of 1, whose loss is in percentage points
    content: str = ""  # the digest of a user's function, part of a stored result's key

    ACCURACY: ClassVar[Metric]
    TOP5: ClassVar[Metric]
    NLL: ClassVar[Metric]
    MSE: ClassVar[Metric]
    MAE: ClassVar[Metric]
    AUC: ClassVar[Metric]
    MAP50: ClassVar[Metric]
    MAP50_95: ClassVar[Metric]

    @classmethod
    def of(cls, metric: Metric | str | Function, more_is_better: bool | None = None) -> Metric:
        """A metric from its name, from "module:function", or from a function (outputs, labels) -> float.

        More is better for a function, unless `more_is_better` or the function's attribute of that name is False.
        """
        if isinstance(metric, str):
            if metric in METRICS:
                metric = METRICS[metric]
            elif ":" in metric:
                metric = _imported(metric)
            else:
                raise ValueError(
                    f"metric {metric!r} is not known; use one of {', '.join(METRICS)}, or module:function"
                )
        if isinstance(metric, Metric):
            if more_is_better not in (None, metric.more_is_better):
                better = "more" if metric.more_is_better else "less"
                raise ValueError(f"of {metric.name}, {better} is better; leave the direction out")
            return metric
        if not callable(metric):
            raise TypeError(
                f"a metric is one of {', '.join(METRICS)} or a function (outputs, labels) -> float, "
                f"not {metric!r}"
            )
        if more_is_better is None:
            more_is_better = bool(getattr(metric, "more_is_better", True))
        name = getattr(metric, "__name__", type(metric).__name__)
        return cls(name, more_is_better, "anything", function=metric, content=function_digest(metric))

    @property
    def axis_label(self) -> str:
        """The label of a plot's axis."""
        titles = {"nll": "nats per label", "mse": "mean squared error", "mae": "mean absolute error"}
        return f"{self.name}, %" if self.in_points else titles.get(self.name, self.name)

    @property
    def axis_scale(self) -> int:
        """The factor of the value on such an axis: 100 for percentages, else 1."""
        return 100 if self.in_points else 1

    @property
    def loss_unit(self) -> str:
        """The unit of `loss`: points or percent."""
        return f"points of {self.name}" if self.in_points else "percent of the float network's"

    def loss(self, value: float, reference: float) -> float:
        """How much worse than the reference, in points, or in percent of the reference (of 1 if that is 0)."""
        worse = reference - value if self.more_is_better else value - reference
        return 100 * worse / (1 if self.in_points else abs(reference) or 1)

    def value(self, outputs: Array, labels: Array) -> float:
        """The value for outputs (n, ...) and their labels."""
        if self.scores is not None:
            return float(self.scores(outputs, labels).mean())
        assert self.function is not None
        try:
            found = self.function(outputs, labels)
        except Exception as error:
            told = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(
                f"metric {self.name} failed ({told[:160]}) for outputs of shape {outputs.shape} and labels of shape "
                f"{labels.shape}"
            ) from error
        try:
            figure = float(found)
        except (TypeError, ValueError):
            raise ValueError(
                f"metric {self.name} gave a {type(found).__name__}, and a metric gives one number"
            ) from None
        if not isfinite(figure):
            raise ValueError(
                f"metric {self.name} gave {figure} for outputs of shape {outputs.shape} and labels of shape "
                f"{labels.shape}; it needs a finite number for every network"
            )
        return figure

    def drawn_interval(self, outputs: Array, labels: Array, seed: int = 0) -> tuple[float, float]:
        """The 95 % bootstrap interval (low, high) of a metric that is not a mean, by resampling the samples."""
        rng = np.random.default_rng(seed)
        found = []
        for _ in range(RESAMPLES // 10):
            rows = rng.integers(0, len(outputs), len(outputs))
            try:
                found.append(self.value(outputs[rows], labels[rows]))
            except DEGENERATE:
                continue
        value = self.value(outputs, labels)
        low, high = np.percentile(found or [value], (2.5, 97.5))
        return min(float(low), value), max(float(high), value)


def _imported(text: str) -> Function:
    """The function that a text `module:function` names."""
    module_name, _, name = text.partition(":")
    try:
        module = import_module(module_name)
    except (ImportError, ValueError, TypeError) as error:
        raise ValueError(
            f"metric {text!r} cannot be imported ({error}); write module:function of a module that "
            "Python finds from here"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"metric {text!r}: the module {module_name} has no function {name!r}")
    return function  # type: ignore[no-any-return]


Metric.ACCURACY = Metric("accuracy", True, "classes", scores.accuracy, in_points=True)
Metric.TOP5 = Metric("top5", True, "classes", scores.top5, in_points=True)
Metric.NLL = Metric("nll", False, "classes", scores.nll)
Metric.MSE = Metric("mse", False, "targets", scores.mse)
Metric.MAE = Metric("mae", False, "targets", scores.mae)
Metric.AUC = Metric("auc", True, "two classes", function=scores.auc, in_points=True)
Metric.MAP50 = Metric("map50", True, "boxes", function=scores.map50, in_points=True)
Metric.MAP50_95 = Metric("map50_95", True, "boxes", function=scores.map50_95, in_points=True)
METRICS = {
    metric.name: metric
    for metric in (
        Metric.ACCURACY,
        Metric.TOP5,
        Metric.NLL,
        Metric.MSE,
        Metric.MAE,
        Metric.AUC,
        Metric.MAP50,
        Metric.MAP50_95,
    )
}


def interval(scores: Array, seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval (low, high) of the mean of scores (n,), by resampling with replacement."""
    rng = np.random.default_rng(seed)
    count = len(scores)
    if scores.dtype == bool:
        # The number of ones in n draws with replacement is binomial, so that need not be simulated.
        means = rng.binomial(count, scores.mean(), RESAMPLES) / count
    else:
        means = np.array([scores[rng.integers(0, count, count)].mean() for _ in range(RESAMPLES // 4)])
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
