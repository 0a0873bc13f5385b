# SPDX-License-Identifier: MIT
"""Logging of a sweep's points to MLflow, TensorBoard or Weights & Biases: for `sweep(..., on_point=...)`."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from fixedpoint_nn.precision.point import Point

OnPoint = Callable[[Point], None]
LABELS = ("axis", "value", "method")


def figures(point: Point) -> dict[str, float]:
    """The numbers of a point's table row, under the names axis/method/name."""
    return {
        f"{point.axis}/{point.method}/{name}": float(value)
        for name, value in point.row().items()
        if name not in LABELS and isinstance(value, int | float)
    }


def place(point: Point, told: int) -> int:
    """The step of a point on its axis: its value if that is a number, else its count."""
    first = point.value.split()[0]
    return int(first) if first.isdecimal() else told


def to_mlflow() -> OnPoint:
    """A callback that logs metrics to MLflow's active run, or to a new one."""
    mlflow = _module("mlflow", "MLflow")
    count = _Count()
    return lambda point: mlflow.log_metrics(figures(point), step=place(point, count.next()))


def to_tensorboard(folder: str | os.PathLike[str]) -> OnPoint:
    """A callback that logs scalars to TensorBoard, in this folder."""
    writer = _module("tensorboardX", "TensorBoard").SummaryWriter(os.fspath(folder))
    count = _Count()

    def tell(point: Point) -> None:
        step = place(point, count.next())
        for name, value in figures(point).items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return tell


def to_wandb(run: Any = None) -> OnPoint:
    """A callback that logs to this run of Weights & Biases, or to the latest one."""
    log = _module("wandb", "Weights & Biases").log if run is None else run.log
    count = _Count()

    def tell(point: Point) -> None:
        log({**figures(point), f"{point.axis}/value": place(point, count.next())})

    return tell


class _Count:
    """A counter: 0, 1, 2, ..."""

    def __init__(self) -> None:
        self.told = -1

    def next(self) -> int:
        self.told += 1
        return self.told


def _module(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ImportError(f"{what} needs {name}: pip install 'fixedpoint_nn[trackers]'") from None
