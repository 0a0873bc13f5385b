# SPDX-License-Identifier: MIT
"""How good a network is: one figure, whether more of it is better, and how sure it is."""

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
DEGENERATE = (ValueError, ArithmeticError)  # what a function may raise for a draw without one of its classes

Function = Callable[[Array, Array], float]


@dataclass(frozen=True)
class Metric:
    """A figure of a network's outputs against labels.

    It is the mean of `scores(outputs, labels)`, one for every label that counts, or, where it is no mean,
    `function(outputs, labels)` of all samples at once. `labels` tells what it judges: "classes", "targets"
    (of the outputs' shape), "two classes", "boxes" or "anything".
    """

    name: str
    more_is_better: bool
    labels: str
    scores: Callable[[Array, Array], Array] | None = None
    function: Function | None = None
    in_points: bool = False  # a share of 1, whose loss is told in points (percent)
    content: str = ""  # of a function that is not ours: what it computes is part of a stored result's key

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

        More of a function's figure is better, unless `more_is_better` or the function's own attribute of that
        name says otherwise.
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
        """What an axis of this figure is called."""
        titles = {"nll": "nats per label", "mse": "mean squared error", "mae": "mean absolute error"}
        return f"{self.name}, %" if self.in_points else titles.get(self.name, self.name)

    @property
    def axis_scale(self) -> int:
        """What the figure is multiplied with on such an axis."""
        return 100 if self.in_points else 1

    @property
    def loss_unit(self) -> str:
        """What `loss` counts in."""
        return f"points of {self.name}" if self.in_points else "percent of the float network's"

    def loss(self, value: float, reference: float) -> float:
        """How much worse than the reference: in points, or in percent of it (of 1 if the reference is 0)."""
        worse = reference - value if self.more_is_better else value - reference
        return 100 * worse / (1 if self.in_points else abs(reference) or 1)

    def value(self, outputs: Array, labels: Array) -> float:
        """The figure of all these samples."""
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
        """The bootstrap's 95 % interval of a figure that is no mean: samples are drawn again many times."""
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
    """The bootstrap's 95 % interval of the mean: scores are drawn again, with replacement, many times."""
    rng = np.random.default_rng(seed)
    count = len(scores)
    if scores.dtype == bool:
        # How many ones n draws with replacement give is binomial: the same distribution without drawing.
        means = rng.binomial(count, scores.mean(), RESAMPLES) / count
    else:
        means = np.array([scores[rng.integers(0, count, count)].mean() for _ in range(RESAMPLES // 4)])
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
