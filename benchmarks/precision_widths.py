# SPDX-License-Identifier: MIT
"""Widths learned by gradient, the greedy search and one word length, on one network: fronts and their hypervolumes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from fixedpoint_nn import zoo
from fixedpoint_nn.precision import pictures
from fixedpoint_nn.precision.mixed import MOST_HARM, search
from fixedpoint_nn.precision.store import ResultStore
from fixedpoint_nn.precision.widths import LearnedFront, learn_widths
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.entry import Entry
from fixedpoint_nn.zoo.hold_back import hold_back

SEARCHED = {"fashion_mlp": 1000, "lenet": 600}  # training images that the greedy search judges its plans on
COURSES = {"fashion_mlp": (10, 2), "lenet": (6, 2)}  # epochs, and those that finish each candidate
WORD, PRESSURE, RATE = 4, (0.005, 1.0), 1e-3


def compare(network: str, out: Path) -> dict[str, Any]:
    """Both fronts on the test data, and a picture of them in the folder `out`."""
    entry, net = zoo.entry(network), zoo.load(network)
    x, y = entry.examples("train")
    few = SEARCHED[network]
    report, samples = entry.examples(entry.held_out), zoo.samples(network, 500, "train")
    start = time.process_time()
    greedy = search(
        net, (x[:few], y[:few]), report, samples=samples, store=out / "results.sqlite", progress=False
    )
    seconds = [time.process_time() - start]
    learned, cpu = learn(entry, net)
    seconds.append(cpu)
    most = 1.001 * max(candidate.price for candidate in greedy.uniform)
    volume = learned.hypervolume(most, MOST_HARM)
    pictures.pareto_front(greedy, out / f"{network}-widths.svg", network, learned=(learned.front, volume))
    return {
        "network": network,
        "uniform": {"hypervolume": greedy.uniform_hypervolume, "front": _points(greedy.uniform)},
        "greedy": {"hypervolume": greedy.hypervolume, "front": _points(greedy.front), "cpu": seconds[0]},
        "learned": {"hypervolume": volume, "front": _points(learned.front), "cpu": seconds[1]},
    }


def learn(entry: Entry, net: Any, course: tuple[int, int] | None = None) -> tuple[LearnedFront, float]:
    """Widths learned on the training data but a tenth, judged on that tenth, reported on the test data; and seconds."""
    source, held_back = hold_back(entry.source())
    epochs, finish = course or COURSES.get(entry.name, COURSES["fashion_mlp"])
    start = time.process_time()
    learned = learn_widths(
        net,
        held_back,
        source,
        epochs=epochs,
        finish=finish,
        samples=entry.examples("train")[0][:500],
        word=WORD,
        pressure=PRESSURE,
        report=entry.examples(entry.held_out),
        loss=entry.recipe.loss,
        dropout=True,
        optimiser=Adam(RATE),
        schedule=cosine(0.05),
        progress=False,
    )
    return learned, time.process_time() - start


def _points(candidates: Any) -> list[list[float]]:
    return [[round(float(c.price)), round(float(c.loss), 3)] for c in candidates]


def measured(network: str, store: ResultStore, out: Path) -> dict[str, Any]:
    """The comparison, from the store if it is there."""
    known = store.get(f"widths of {network}")
    if known is None:
        known = compare(network, out)
        store.put(f"widths of {network}", known)
    return known


def lines(found: dict[str, Any]) -> list[str]:
    """The comparison as text."""
    text = []
    for name in ("uniform", "greedy", "learned"):
        points = "  ".join(f"{price / 1e6:.2f}M:{lost:+.2f}" for price, lost in found[name]["front"])
        text.append(f"{found['network']:12} {name:8} hypervolume {found[name]['hypervolume']:.3f}   {points}")
    return text
