# SPDX-License-Identifier: MIT
"""One cell of the precision tables: a network trained for so many bits by one method, from one seed."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn import quantize, zoo
from fixedpoint_nn.files.whole import whole
from fixedpoint_nn.network import serialization
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.content import digest
from fixedpoint_nn.precision.few_bits import COURSES, Course, few_bits_plan, teacher_outputs, train_few_bits
from fixedpoint_nn.precision.quantize import carrying
from fixedpoint_nn.precision.store import ResultStore
from fixedpoint_nn.zoo.hold_back import hold_back

# What a cell may lose at most against the float network: points of accuracy, or percent of the likelihood.
AIMS = {
    "fashion_mlp": {4: 0.1, 3: 0.3, 2: 1.0, 1: 2.0},
    "lenet": {4: 0.0, 3: 0.4, 2: 1.2, 1: 3.0},
    "resnet8": {4: 0.5, 3: 1.0, 2: 2.0, 1: 4.0},
    "mnist_lstm": {4: 0.3, 3: 0.8, 2: 2.0},
    "names_lstm": {4: 1.0, 3: 2.0, 2: 5.0},
}


@dataclass(frozen=True)
class Cell:
    """What decides a cell; `bits` are those of weights and activations, of 1 those of the weights alone.

    With `held_back` the last tenth of the training data is not trained on, but judged on: courses are chosen by it.
    """

    network: str
    bits: int
    course: Course
    seed: int
    held_back: bool = False

    @property
    def name(self) -> str:
        """A name for its files."""
        way = self.course.method.replace("+", "_") + "-held-back" * self.held_back
        return f"{self.network}-{self.bits}-{way}-{self.seed}"

    @property
    def before(self) -> Cell | None:
        """The cell whose trained weights are the first ones of this cell; None if those are the float network's."""
        bits = self.course.start
        return None if bits is None else replace(self, bits=bits, course=COURSES[self.network][bits])


def figure_of(network: str) -> str:
    """What a network is judged by: its accuracy, or of one that writes, the likelihood's loss."""
    return "accuracy" if zoo.entry(network).held_out == "test" else "loss"


def loss_of(network: str, figures: dict[str, float], exact: dict[str, float]) -> float:
    """Points of accuracy, or percent of the likelihood, that are lost."""
    if figure_of(network) == "accuracy":
        return 100 * (exact["accuracy"] - figures["accuracy"])
    return 100 * (figures["loss"] / exact["loss"] - 1)


@cache
def taught(network: str, course: Course, out: Path) -> Array | None:
    """The teacher's outputs, kept in the folder `out`."""
    if course.teacher is None or "distillation" not in course.method:
        return None
    key = digest("teacher", course.teacher, zoo.load(course.teacher), network)
    path = out / f"{course.teacher}-{key[:8]}.npy"
    if not path.exists():
        with whole(path) as beside:
            np.save(beside, teacher_outputs(network, course))
    return np.load(path)


def measured(cell: Cell, store: ResultStore, out: Path, progress: bool = True) -> dict[str, Any]:
    """The figures, from the store or trained now; the plan, which carries its weights, is left in the folder `out`."""
    return _trained(cell, store, out, progress)[0]


def _trained(cell: Cell, store: ResultStore, out: Path, progress: bool) -> tuple[dict[str, Any], Path]:
    """The figures, and the file of the float weights."""
    entry, net = zoo.entry(cell.network), zoo.load(cell.network)
    start = None
    if cell.before is not None:
        start = serialization.load(_trained(cell.before, store, out, progress)[1])
    first = net if start is None else start
    key = digest(
        "precision table", asdict(cell), few_bits_plan(cell.network, first, cell.bits).to_json(), first
    )
    weights = out / f"{cell.name}-{key[:8]}.safetensors"
    known = store.get(key)
    if known is not None and weights.exists():
        return known, weights
    source, (x, y) = hold_back(entry.source()) if cell.held_back else (None, entry.examples(entry.held_out))
    exact = entry.figures(net, x, y)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / f"{cell.name}-{key[:8]}.checkpoint"
    clock, cpu = time.perf_counter(), time.process_time()
    trained = train_few_bits(
        cell.network,
        cell.bits,
        course=cell.course,
        teacher=taught(cell.network, cell.course, out),
        start=start,
        source=source,
        seed=cell.seed,
        checkpoint=checkpoint,
        settings={"key": key},
        progress=progress,
        title=cell.name,
        score=lambda fixed: entry.figures(fixed, x, y),
    )
    figures = trained.history.last()
    plain = quantize(net, few_bits_plan(cell.network, net, cell.bits))
    found = {
        "rounded": loss_of(cell.network, entry.figures(plain, x, y), exact),
        "lost": loss_of(cell.network, figures, exact),
        "float": exact,
        "figures": figures,
        "curves": trained.history.curves,
        "minutes": round((time.perf_counter() - clock) / 60, 2),
        "cpu_minutes": round((time.process_time() - cpu) / 60, 2),
    }
    carrying(trained.net, trained.plan).save(out / f"{cell.name}.json")
    serialization.save(trained.net, weights)
    store.put(key, found)
    for left in out.glob(f"{checkpoint.name}*"):
        left.unlink()
    return found, weights
