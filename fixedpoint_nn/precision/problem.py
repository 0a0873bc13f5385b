# SPDX-License-Identifier: MIT
"""One point of a sweep: a network, a plan and data give figures. What runs on every worker."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from fixedpoint_nn.network.json_shapes import Fields, Number, Table, Whole
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.precision.content import code_version, digest
from fixedpoint_nn.precision.metric import Metric, interval, predictions
from fixedpoint_nn.precision.noise import RoundingNoiseStats, float_values, signal_to_noise
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.qat import train_quantized
from fixedpoint_nn.precision.quantize import quantize
from fixedpoint_nn.training.batches import Source
from fixedpoint_nn.training.loop import as_input
from fixedpoint_nn.training.losses import IGNORED, Loss, cross_entropy
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine

BLOCK = 1024
NOISE_SAMPLES = 32


@dataclass(frozen=True)
class Training:
    """How a network is trained for a plan: a short run of Adam from the float weights."""

    source: Source
    epochs: int = 5
    rate: float = 5e-4
    loss: Loss = cross_entropy
    clip: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Problem:
    """What all points of a sweep have in common; `float_predictions` are those of the float network on x."""

    net: Any
    x: Array
    y: Array
    metric: Metric
    float_predictions: Array
    float_score: float
    training: Training | None = None

    @classmethod
    def of(
        cls, net: Any, x: Array, y: Array, metric: Metric | None = None, training: Training | None = None
    ) -> Problem:
        x, y = np.asarray(x), np.asarray(y)
        if len(x) != len(y) or not len(x):
            raise ValueError(
                f"{len(x)} inputs and {len(y)} labels do not make data; each input needs one label"
            )
        metric = metric or Metric.for_labels(y)
        scores, predicted = judge(lambda block: _floats(net, block), x, y, metric)
        return cls(net, x, y, metric, predicted, float(scores.mean()), training)

    def key(self, plan: Plan, trained: bool) -> str:
        """Of the content that decides a point's result."""
        return digest(self._common, plan.to_json(), self.training if trained else None)

    @cached_property
    def float_values(self) -> dict[str, list[Array]]:
        """What the float network's cast points see of the first samples."""
        return float_values(self.net, self.x[:NOISE_SAMPLES])

    @cached_property
    def _common(self) -> str:
        return digest(code_version(), self.net, self.x, self.y, self.metric)


def _floats(net: Any, x: Array) -> Array:
    with no_gradient():
        data: Array = net(as_input(x)).data
    return data


def judge(
    model: Any, x: Array, y: Array, metric: Metric, ledger: OverflowStats | None = None
) -> tuple[Array, Array]:
    """The score of every label, and every prediction, block by block."""
    scores, predicted = [], []
    for start in range(0, len(x), BLOCK):
        if ledger is not None:
            ledger.first_row = start
        logits = model(x[start : start + BLOCK])
        scores.append(metric.scores(logits, y[start : start + BLOCK]))
        predicted.append(predictions(logits))
    return np.concatenate(scores), np.concatenate(predicted)


def trained_for(problem: Problem, plan: Plan) -> tuple[Any, Quantized]:
    """The float master weights trained for the plan, and the fixed network."""
    training = problem.training
    if training is None:
        raise ValueError("training for few bits needs training=Training(source, ...)")
    result = train_quantized(
        problem.net,
        plan,
        training.source,
        epochs=training.epochs,
        optimiser=Adam(training.rate),
        schedule=cosine(),
        loss=training.loss,
        clip=training.clip,
        seed=training.seed,
        progress=False,
    )
    return result.net, result.fixed


COUNTS = Table(Whole())
EVALUATED = Fields(
    {
        "metric": Number(),
        "low": Number(),
        "high": Number(),
        "changed": Whole(),
        "predictions": Whole(),
        "saturated": COUNTS,
        "wrapped": COUNTS,
        "values": COUNTS,
        "snr_db": Table(Number()),
        "seconds": Number(),
    }
)


def evaluate(problem: Problem, plan_json: str, trained: bool = False) -> dict[str, Any]:
    """The figures of one point, ready for JSON."""
    start = time.perf_counter()
    plan = Plan.from_json(plan_json)
    net, fixed = trained_for(problem, plan) if trained else (problem.net, quantize(problem.net, plan))
    ledger = RoundingNoiseStats(NOISE_SAMPLES)
    with ledger:
        run = partial(_integers, fixed)
        scores, predicted = judge(run, problem.x, problem.y, problem.metric, ledger)
    exact = float_values(net, problem.x[:NOISE_SAMPLES]) if trained else problem.float_values
    low, high = interval(scores)
    return {
        "metric": float(scores.mean()),
        "low": low,
        "high": high,
        "changed": int(np.count_nonzero(_counted(predicted != problem.float_predictions, problem.y))),
        "predictions": int(np.size(scores)),
        "saturated": {path: entry.saturated for path, entry in ledger.items() if entry.saturated},
        "wrapped": {path: entry.wrapped for path, entry in ledger.items() if entry.wrapped},
        "values": {path: entry.values for path, entry in ledger.items()},
        "snr_db": signal_to_noise(exact, ledger.seen, plan),
        "seconds": round(time.perf_counter() - start, 3),
    }


def _integers(fixed: Quantized, x: Array) -> Array:
    return fixed(x).to_float()


def _counted(changed: Array, y: Array) -> Array:
    """Without padding."""
    counted: Array = changed[y != IGNORED] if y.shape == changed.shape and changed.ndim > 1 else changed
    return counted
