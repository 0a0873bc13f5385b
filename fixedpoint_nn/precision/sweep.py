# SPDX-License-Identifier: MIT
"""Sweeps: metric and cost of a network over bit widths and other settings of its recipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import partial
from typing import Any, Protocol

from tqdm import tqdm

from fixedpoint_nn.network.json_shapes import JsonMap, JsonNumber
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.attempt import REASON, attempt, error_key, reason_of
from fixedpoint_nn.precision.axes import PTQ, QAT, Variant, variants
from fixedpoint_nn.precision.cluster import begun, run_all
from fixedpoint_nn.precision.cost import bit_operations, cost
from fixedpoint_nn.precision.duration import expected_seconds
from fixedpoint_nn.precision.metric import Function, Metric
from fixedpoint_nn.precision.observe import Observations, observe
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.point import Absent, Point, Sweep
from fixedpoint_nn.precision.problem import EVALUATED, Problem, Training, evaluate
from fixedpoint_nn.precision.recipe import Recipe
from fixedpoint_nn.precision.shared import can_travel
from fixedpoint_nn.precision.store import ResultStore

__all__ = ["Absent", "EngineFigures", "Point", "Sweep", "sweep"]

CALIBRATION = 500


class EngineFigures(Protocol):
    """A callable that returns the engine's figures of a plan by name, and their key in the store."""

    def __call__(self, plan: Plan) -> dict[str, int]: ...
    def key(self, plan: Plan) -> str:
        """The store's key: a digest of everything that the figures depend on."""


def sweep(
    net: Any,
    data: Any,
    words: Iterable[int] = range(2, 17),
    *,
    axes: Iterable[str] = ("word",),
    base: Recipe | None = None,
    methods: Iterable[str] = (PTQ,),
    samples: Array | None = None,
    metric: Metric | str | Function | None = None,
    training: Training | None = None,
    jobs: int = 1,
    executor: Executor | None = None,
    scheduler: str | None = None,
    store: str | os.PathLike[str] | None = None,
    engine: EngineFigures | None = None,
    progress: bool = True,
    announce: Callable[[float], None] | None = None,
    on_point: Callable[[Point], None] | None = None,
    resume_errored: bool = False,
) -> Sweep:
    """Evaluate a float network at every point of the axes, such as word lengths; points in the store are reused.

    `data` has .x and .y, or is a pair (x, y); `samples` are for calibration (default: the first of the data). `metric`
    is a `Metric`, its name, "module:function", or a function (outputs, labels) -> float of which more is better (less,
    with an attribute `more_is_better = False`); the default is "accuracy" for one class per sample, "nll" for
    sequences of classes, "mse" for targets. `base` is the recipe that the axes vary. `methods` are "ptq" and, with
    `training`, "qat".

    `jobs` processes share the data; an `executor` or the address of a Dask `scheduler` computes elsewhere. `store` is
    an SQLite file (":memory:" keeps nothing). `engine`, an `EngineCost`, adds the engine's figures. `announce` is
    called before the first point with the estimated seconds, `on_point` with each new point. A point with formats that
    some layer cannot have, such as sums of more than 63 bits, and one that fails are omitted, with their reasons in
    the result's `absent`; a failed one is retried only with `resume_errored`.

    >>> from fixedpoint_nn import data, sweep, zoo
    >>> found = sweep(zoo.load("moons"), data.moons()[1], words=[4, 8], store=":memory:", progress=False)
    >>> [point.value for point in found]
    ['4', '8']
    """
    x, y = (data.x, data.y) if hasattr(data, "x") else data
    wanted = variants(axes, tuple(words), base or Recipe(), methods)
    if training is None and any(variant.method == QAT for variant in wanted):
        raise ValueError("method 'qat' needs training=Training(source, ...): the data to train with")
    alone = executor is None and scheduler is None
    with ExitStack() as stack:
        workers = (
            stack.enter_context(begun(min(jobs, len(wanted))))
            if alone and min(jobs, len(wanted)) > 1
            else None
        )
        problem = Problem.of(net, x, y, metric, training)
        elsewhere = jobs > 1 or executor is not None or scheduler is not None
        if elsewhere and not can_travel(problem.metric):
            raise ValueError(
                f"the metric {problem.metric.name} cannot be sent to other processes; "
                "define it with `def` in a module, or use one process"
            )
        seen = observe(net, problem.x[:CALIBRATION] if samples is None else samples)
        made = _Points(seen, problem, wanted)
        results = stack.enter_context(ResultStore(store))
        known = {key: results.get(key, EVALUATED) for key in made.tasks}
        errors = {} if resume_errored else {key: results.get(error_key(key), REASON) for key in made.tasks}
        found = {key: result or errors.get(key) for key, result in known.items()}
        missing = {key: task for key, task in made.tasks.items() if found[key] is None}
        if elsewhere:
            missing = made.longest_first(missing)
        if announce is not None and missing:
            announce(expected_seconds(problem, list(missing.values()), jobs))
        done = run_all(partial(attempt, evaluate), problem, missing, jobs, executor, scheduler, workers)
        for key, result in _shown(done, len(missing), len(found) - len(missing), progress):
            results.put(error_key(key) if reason_of(result) else key, result)
            found[key] = result
            if on_point is not None and not reason_of(result):
                for point in made.points({key: result}, engine, results):
                    on_point(point)
        points = made.points(found, engine, results)
    absent = made.absent(found)
    if not points and absent:
        raise ValueError(f"no point of this sweep is possible; {absent[0]}")
    return Sweep(tuple(points), problem.metric, problem.float_score, len(missing), absent)


class _Points:
    """The requested points: their plans, their keys in the store, and the tasks to compute."""

    def __init__(self, seen: Observations, problem: Problem, wanted: Iterable[Variant]) -> None:
        self.seen, self.problem = seen, problem
        self.wanted: list[tuple[Variant, Plan, str]] = []
        self.impossible: list[Absent] = []
        for variant in wanted:
            try:
                plan = seen.plan(variant.recipe)
            except ValueError as error:
                self.impossible.append(
                    Absent(variant.axis, variant.value, variant.method, str(error), failed=False)
                )
                continue
            self.wanted.append((variant, plan, problem.key(plan, variant.method == QAT)))
        self.tasks = {key: (plan.to_json(), variant.method == QAT) for variant, plan, key in self.wanted}

    def longest_first(self, tasks: Mapping[str, tuple[str, bool]]) -> dict[str, tuple[str, bool]]:
        """The same tasks, so ordered that several workers end at nearly the same time."""
        expected = {
            key: (variant.method == QAT, bit_operations(self.seen, plan))
            for variant, plan, key in self.wanted
        }
        return dict(sorted(tasks.items(), key=lambda task: expected[task[0]], reverse=True))

    def points(
        self, found: Mapping[str, Any], engine: EngineFigures | None, results: ResultStore
    ) -> list[Point]:
        """The points among these results."""
        return [
            _point(
                variant,
                plan,
                found[key],
                self.seen,
                self.problem,
                None if engine is None else _engine(engine, plan, results),
            )
            for variant, plan, key in self.wanted
            if key in found and not reason_of(found[key])
        ]

    def absent(self, found: Mapping[str, Any]) -> tuple[Absent, ...]:
        """The omitted points, with their reasons."""
        return (
            *self.impossible,
            *(
                Absent(variant.axis, variant.value, variant.method, reason, bool(found[key]["failed"]))
                for variant, _, key in self.wanted
                if (reason := reason_of(found[key]))
            ),
        )


def _shown(done: Iterator[Any], missing: int, found: int, progress: bool) -> Iterator[Any]:
    """The same items, with a progress bar."""
    bar = tqdm(done, "sweep", missing, unit="point", disable=not progress or not missing)
    if found:
        bar.set_postfix_str(f"{found} found in the store")
    yield from bar


def _engine(engine: EngineFigures, plan: Plan, results: ResultStore) -> dict[str, Any]:
    """The engine's figures of a plan, from the store or computed and stored."""
    key = engine.key(plan)
    known = results.get(key, JsonMap(JsonNumber()))
    if known is None:
        known = engine(plan)
        results.put(key, known)
    return known


def _point(
    variant: Variant,
    plan: Plan,
    result: Mapping[str, Any],
    seen: Observations,
    problem: Problem,
    engine: Mapping[str, int] | None,
) -> Point:
    """A point of the sweep: its variant with cost, metric, loss, interval and overflow statistics."""
    return Point(
        variant.axis,
        variant.value,
        variant.method,
        loss=problem.metric.loss(result["metric"], problem.float_score),
        cost=cost(seen, plan),
        plan=plan,
        engine=engine,
        **{
            name: result[name]
            for name in (
                "metric",
                "low",
                "high",
                "changed",
                "predictions",
                "saturated",
                "wrapped",
                "values",
                "snr_db",
                "seconds",
            )
        },
    )
