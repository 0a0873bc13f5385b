# SPDX-License-Identifier: MIT
"""Computing one point of a sweep on a worker: network, plan and data -> figures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from fixedpoint_nn.network.json_shapes import JsonInteger, JsonMap, JsonNumber, JsonObject
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow_stats import OverflowTotals
from fixedpoint_nn.precision.content import code_version, digest
from fixedpoint_nn.precision.judge import judge
from fixedpoint_nn.precision.labels import default_metric, demand_fitting
from fixedpoint_nn.precision.metric import Function, Metric
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.qat import train_quantized
from fixedpoint_nn.precision.quantize import quantize
from fixedpoint_nn.precision.rounding_noise import RoundingNoiseStats, float_values, signal_to_noise
from fixedpoint_nn.training.batches import BatchSource
from fixedpoint_nn.training.losses import Loss, cross_entropy
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine

NOISE_SAMPLES = 32


@dataclass(frozen=True)
class Training:
    """Settings of quantisation-aware training for a plan: a short run of Adam from the float weights."""

    source: BatchSource
    epochs: int = 5
    rate: float = 5e-4
    loss: Loss = cross_entropy
    clip: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Problem:
    """The common part of all points of a sweep; `float_predictions` are the float network's on x."""

    net: Any
    x: Array
    y: Array
    metric: Metric
    float_predictions: Array
    float_score: float
    training: Training | None = None

    @classmethod
    def of(
        cls,
        net: Any,
        x: Array,
        y: Array,
        metric: Metric | str | Function | None = None,
        training: Training | None = None,
    ) -> Problem:
        """The problem for this network and data; without a `metric`, labels and outputs imply it."""
        x, y = np.asarray(x), np.asarray(y)
        if len(x) != len(y) or not len(x):
            raise ValueError(f"{len(x)} inputs and {len(y)} labels do not fit; each input needs one label")
        shape = (len(x), *_floats(net, x[:1]).shape[1:])
        chosen = default_metric(y, shape) if metric is None else Metric.of(metric)
        demand_fitting(chosen, y, shape)
        judged = judge(lambda block: _floats(net, block), x, y, chosen)
        return cls(net, x, y, chosen, judged.predicted, judged.value, training)

    def key(self, plan: Plan, trained: bool) -> str:
        """The store's key of a point: a digest of everything that its result depends on."""
        return digest(self._common, plan.to_json(), self.training if trained else None)

    @cached_property
    def float_values(self) -> dict[str, list[Array]]:
        """The values at each cast point of the float network for the first samples, by path."""
        return float_values(self.net, self.x[:NOISE_SAMPLES])

    @cached_property
    def _common(self) -> str:
        return digest(code_version(), self.net, self.x, self.y, self.metric)


def _floats(net: Any, x: Array) -> Array:
    with no_gradient():
        data: Array = net(as_input(x)).data
    return data


def trained_for(problem: Problem, plan: Plan) -> tuple[Any, Quantized]:
    """(float network with master weights trained for the plan, fixed-point network)."""
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


COUNTS = JsonMap(JsonInteger())
EVALUATED = JsonObject(
    {
        "metric": JsonNumber(),
        "low": JsonNumber(),
        "high": JsonNumber(),
        "changed": JsonInteger(),
        "predictions": JsonInteger(),
        "saturated": COUNTS,
        "wrapped": COUNTS,
        "values": COUNTS,
        "snr_db": JsonMap(JsonNumber()),
        "seconds": JsonNumber(),
    }
)


def evaluate(problem: Problem, plan_json: str, trained: bool = False) -> dict[str, Any]:
    """The figures of one point, as JSON values; `trained` for quantisation-aware training."""
    start = time.perf_counter()
    plan = Plan.from_json(plan_json)
    net, fixed = trained_for(problem, plan) if trained else (problem.net, quantize(problem.net, plan))
    noise, ledger = RoundingNoiseStats(NOISE_SAMPLES), OverflowTotals()
    with noise:
        fixed(problem.x[:NOISE_SAMPLES])
    with ledger:
        run = partial(_integers, fixed)
        judged = judge(run, problem.x, problem.y, problem.metric, ledger)
    exact = float_values(net, problem.x[:NOISE_SAMPLES]) if trained else problem.float_values
    low, high = judged.interval()
    return {
        "metric": judged.value,
        "low": low,
        "high": high,
        "changed": judged.changed_from(problem.float_predictions),
        "predictions": judged.count,
        "saturated": {path: entry.saturated for path, entry in ledger.items() if entry.saturated},
        "wrapped": {path: entry.wrapped for path, entry in ledger.items() if entry.wrapped},
        "values": {path: entry.values for path, entry in ledger.items()},
        "snr_db": signal_to_noise(exact, noise.seen, plan),
        "seconds": round(time.perf_counter() - start, 3),
    }


def _integers(fixed: Quantized, x: Array) -> Array:
    integers: Array = fixed(x).to_float()
    return integers
