# SPDX-License-Identifier: MIT
"""Sweep: how good a network stays, and what it costs, as its numbers lose bits."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from tqdm import tqdm

from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.network.json_shapes import Number, Table
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.axes import PTQ, QAT, Variant, variants
from fixedpoint_nn.precision.cluster import run_all
from fixedpoint_nn.precision.cost import Cost, cost
from fixedpoint_nn.precision.duration import expected_seconds
from fixedpoint_nn.precision.metric import Function, Metric
from fixedpoint_nn.precision.observe import Observations, observe
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.problem import EVALUATED, Problem, Training, evaluate
from fixedpoint_nn.precision.recipe import Recipe
from fixedpoint_nn.precision.shared import can_travel
from fixedpoint_nn.precision.store import Store

CALIBRATION = 500


class EngineFigures(Protocol):
    """What the hardware needs for a plan, as numbers by name, and the key under which they are kept."""

    def __call__(self, plan: Plan) -> dict[str, int]: ...
    def key(self, plan: Plan) -> str:
        """What the figures depend on."""


@dataclass(frozen=True)
class Point:
    """One point: where it lies, how good it is (with a 95 % interval), and what it costs."""

    axis: str
    value: str
    method: str
    metric: float
    low: float
    high: float
    loss: float  # against float: points of a share such as accuracy, else percent
    changed: int  # predictions other than the float network's; of a regression, samples
    predictions: int
    saturated: Mapping[str, int]
    wrapped: Mapping[str, int]
    values: Mapping[str, int]
    snr_db: Mapping[str, float]
    cost: Cost
    plan: Plan
    seconds: float
    engine: Mapping[str, int] | None = None  # cycles, luts, dsps: as far as they are known

    def row(self) -> dict[str, Any]:
        """The point as one line of a table."""
        return {
            "axis": self.axis,
            "value": self.value,
            "method": self.method,
            "metric": self.metric,
            "low": self.low,
            "high": self.high,
            "loss": self.loss,
            "changed": self.changed,
            "predictions": self.predictions,
            "saturated": sum(self.saturated.values()),
            "wrapped": sum(self.wrapped.values()),
            **asdict(self.cost),
            **(self.engine or {}),
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Sweep(Sequence[Point]):
    """The points of a sweep, in their order, beside the float network's own result."""

    points: tuple[Point, ...]
    metric: Metric
    float_score: float
    computed: int = 0  # points that were not in the store

    def __getitem__(self, index: Any) -> Any:
        return self.points[index]

    def __len__(self) -> int:
        return len(self.points)

    def on(self, axis: str, method: str = PTQ) -> list[Point]:
        """The points of one axis."""
        return [point for point in self.points if (point.axis, point.method) == (axis, method)]

    def rows(self) -> list[dict[str, Any]]:
        """A dictionary for each point."""
        return [point.row() for point in self.points]

    def layers(self) -> list[dict[str, Any]]:
        """One line for each point and each place in it that saw values."""
        return [
            {
                "axis": point.axis,
                "value": point.value,
                "method": point.method,
                "place": place,
                "values": values,
                "saturated": point.saturated.get(place, 0),
                "wrapped": point.wrapped.get(place, 0),
                "snr_db": point.snr_db.get(place),
            }
            for point in self.points
            for place, values in point.values.items()
        ]

    def to_csv(self, path: str | os.PathLike[str], layers: bool = False) -> None:
        """A line for each point, or, with `layers`, for each place of each point."""
        rows = self.layers() if layers else self.rows()
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(rows)
        write_whole(path, text.getvalue())

    def to_frame(self) -> Any:
        """A pandas DataFrame."""
        try:
            import pandas
        except ImportError:
            raise ImportError("a DataFrame needs pandas: pip install pandas; to_csv() does without") from None
        return pandas.DataFrame(self.rows())


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
) -> Sweep:
    """Compute every point of the axes that the store does not hold yet.

    `data` has .x and .y, or is the pair of them; `samples` calibrate (the first of the data, unless given).
    `metric` is a `Metric`, its name, "module:function", or a function (outputs, labels) -> float of which more
    is better (less, if it has an attribute `more_is_better = False`); without one, labels and outputs choose:
    `accuracy` for a class for each sample, `nll` for sequences of classes, `mse` for targets.
    `base` is the recipe that the axes vary. `methods` are "ptq" and, with `training`, "qat". `jobs` processes
    share the data; an `executor` or a Dask `scheduler`'s address computes elsewhere. `store` is an SQLite
    file (":memory:" keeps nothing). `engine`, an `EngineCost`, adds what the hardware needs. `announce` is told
    before the first point how many seconds all of them will take, as a few samples let expect.
    """
    x, y = (data.x, data.y) if hasattr(data, "x") else data
    wanted = variants(axes, tuple(words), base or Recipe(), methods)
    if training is None and any(variant.method == QAT for variant in wanted):
        raise ValueError("method 'qat' needs training=Training(source, ...): the data to train with")
    problem = Problem.of(net, x, y, metric, training)
    elsewhere = jobs > 1 or executor is not None or scheduler is not None
    if elsewhere and not can_travel(problem.metric):
        raise ValueError(
            f"the metric {problem.metric.name} cannot be sent to other processes; "
            "define it with `def` in a module, or use one process"
        )
    seen = observe(net, problem.x[:CALIBRATION] if samples is None else samples)
    plans = [seen.plan(variant.recipe) for variant in wanted]
    keys = [problem.key(plan, variant.method == QAT) for plan, variant in zip(plans, wanted, strict=True)]
    with Store(store) as results:
        known = {key: results.get(key, EVALUATED) for key in dict.fromkeys(keys)}
        missing = {
            key: (plan.to_json(), variant.method == QAT)
            for key, plan, variant in zip(keys, plans, wanted, strict=True)
            if known[key] is None
        }
        if announce is not None and missing:
            announce(expected_seconds(problem, list(missing.values()), jobs))
        done = run_all(evaluate, problem, missing, jobs, executor, scheduler)
        for key, result in _shown(done, len(missing), len(known) - len(missing), progress):
            results.put(key, result)
            known[key] = result
        engines = [None if engine is None else _engine(engine, plan, results) for plan in plans]
    points = tuple(
        _point(variant, plan, known[key] or {}, seen, problem, figures)
        for variant, plan, key, figures in zip(wanted, plans, keys, engines, strict=True)
    )
    return Sweep(points, problem.metric, problem.float_score, len(missing))


def _shown(done: Iterator[Any], missing: int, found: int, progress: bool) -> Iterator[Any]:
    """The same with a bar that tells the time left."""
    bar = tqdm(done, "sweep", missing, unit="point", disable=not progress or not missing)
    if found:
        bar.set_postfix_str(f"{found} found in the store")
    yield from bar


def _engine(engine: EngineFigures, plan: Plan, results: Store) -> dict[str, Any]:
    """The engine's figures, computed once for each content, as the points are."""
    key = engine.key(plan)
    known = results.get(key, Table(Number()))
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
