# SPDX-License-Identifier: MIT
"""One cell of the precision tables: a network trained for so many bits by one method, from one seed."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fixedpoint_nn import calibrate, quantize, zoo
from fixedpoint_nn.precision.content import digest
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.qat import train_quantized
from fixedpoint_nn.precision.quantize import carrying
from fixedpoint_nn.precision.store import Store
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine

CALIBRATION = 500
ACTIVATIONS_OF_ONE_BIT_WEIGHTS = 2
# Epochs and rate of each network, for every number of bits alike.
COURSES = {
    "fashion_mlp": (12, 1e-3),
    "lenet": (4, 1e-3),
    "resnet8": (3, 5e-4),
    "mnist_lstm": (3, 1e-3),
    "names_lstm": (8, 1e-3),
}
WITH_DROPOUT = {"fashion_mlp", "names_lstm"}  # without it these learn their samples by heart
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
    """What decides a cell; `bits` are those of weights and activations, of 1 those of the weights alone."""

    network: str
    bits: int
    method: str
    seed: int
    epochs: int
    rate: float

    @property
    def activations(self) -> int:
        """Bits of a value between layers, of the input too."""
        return self.bits if self.bits > 1 else ACTIVATIONS_OF_ONE_BIT_WEIGHTS

    @property
    def name(self) -> str:
        """A name for its files."""
        return f"{self.network}-{self.bits}-{self.method.replace('+', '_')}-{self.seed}"

    def plan(self, net: Any) -> Plan:
        """Formats from samples, a binary point for each channel; logits have 8 bits, tables' addresses at least 8."""
        return calibrate(
            net,
            zoo.samples(self.network, CALIBRATION, "train"),
            word=max(self.bits, 2),
            activation_bits=self.activations,
            address_bits=8,
            per_channel=True,
        )

    def way(self) -> str:
        """The method that trains it: weights of one bit are binary whatever else the method does."""
        return self.method if self.bits > 1 else f"binary+{self.method}"


def loss_of(network: str, figures: dict[str, float], exact: dict[str, float]) -> float:
    """Points of accuracy, or percent of the likelihood, that are lost."""
    if zoo.entry(network).held_out == "test":
        return 100 * (exact["accuracy"] - figures["accuracy"])
    return 100 * (figures["loss"] / exact["loss"] - 1)


def measured(cell: Cell, store: Store, out: Path, progress: bool = True) -> dict[str, Any]:
    """The figures, from the store or trained now; the plan, which carries its weights, is left in the folder `out`."""
    entry, net = zoo.entry(cell.network), zoo.load(cell.network)
    plan = cell.plan(net)
    key = digest("precision table", asdict(cell), cell.network in WITH_DROPOUT, plan.to_json(), net)
    known = store.get(key)
    if known is not None:
        return known
    x, y = entry.examples(entry.held_out)
    exact = entry.figures(net, x, y)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / f"{cell.name}-{key[:8]}.checkpoint"
    start = time.perf_counter()
    trained = train_quantized(
        net,
        plan,
        entry.source(),
        epochs=cell.epochs,
        method=cell.way(),
        loss=entry.recipe.loss,
        clip=entry.recipe.clip,
        optimiser=Adam(cell.rate),
        schedule=cosine(),
        seed=cell.seed,
        dropout=cell.network in WITH_DROPOUT,
        checkpoint=checkpoint,
        settings={"key": key},
        progress=progress,
        title=cell.name,
        score=lambda fixed: entry.figures(fixed, x, y),
    )
    figures = trained.history.last()
    found = {
        "rounded": loss_of(cell.network, entry.figures(quantize(net, plan), x, y), exact),
        "lost": loss_of(cell.network, figures, exact),
        "float": exact,
        "figures": figures,
        "curves": trained.history.curves,
        "minutes": round((time.perf_counter() - start) / 60, 2),
    }
    carrying(trained.net, trained.plan).save(out / f"{cell.name}.json")
    store.put(key, found)
    for left in out.glob(f"{checkpoint.name}*"):
        left.unlink()
    return found
