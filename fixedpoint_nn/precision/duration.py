# SPDX-License-Identifier: MIT
"""An estimate of the duration of a sweep, from a few samples."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.problem import Problem, Training, trained_for
from fixedpoint_nn.precision.quantize import quantize
from fixedpoint_nn.training.batches import Batch, BatchSource

SAMPLES = 64
BATCHES = 2


@dataclass(frozen=True)
class FirstBatches:
    """A source limited to its first few batches."""

    source: BatchSource

    def __len__(self) -> int:
        return min(BATCHES, len(self.source))

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """The first batches of the epoch."""
        for _, batch in zip(range(BATCHES), self.source.epoch(rng), strict=False):
            yield batch


def expected_seconds(problem: Problem, tasks: Sequence[tuple[str, bool]], jobs: int = 1) -> float:
    """The estimated seconds of these points, each (plan as JSON, whether it is trained for), in `jobs` processes."""
    for text in sorted({plan for plan, _ in tasks}, key=len, reverse=True):
        plan = Plan.from_json(text)
        try:
            each = _judging(problem, plan)
            break
        except ValueError:  # some layer cannot have these formats, so the point will be omitted
            continue
    else:
        return 0.0
    total = each * len(tasks)
    trained = sum(1 for _, is_trained in tasks if is_trained)
    if trained and problem.training is not None:
        total += trained * _training(problem, problem.training, plan)
    return total / min(jobs, len(tasks))


def _judging(problem: Problem, plan: Plan) -> float:
    fixed, x = quantize(problem.net, plan), problem.x[:SAMPLES]
    fixed(x[:1])  # tables and kernels are built at the first call
    start = time.perf_counter()
    fixed(x)
    return (time.perf_counter() - start) * len(problem.x) / len(x)


def _training(problem: Problem, training: Training, plan: Plan) -> float:
    few = replace(problem, training=replace(training, source=FirstBatches(training.source), epochs=1))
    start = time.perf_counter()
    trained_for(few, plan)
    return (time.perf_counter() - start) / BATCHES * len(training.source) * training.epochs
