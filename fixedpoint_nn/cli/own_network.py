# SPDX-License-Identifier: MIT
"""A user's network as an `Entry` like those of the zoo: samples, loss, metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fixedpoint_nn.cli.samples_file import SamplesFile
from fixedpoint_nn.layers import Dropout
from fixedpoint_nn.network import tree
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.labels import default_metric, demand_fitting
from fixedpoint_nn.precision.metric import Metric
from fixedpoint_nn.precision.qat import own_weights
from fixedpoint_nn.training import batches
from fixedpoint_nn.training.loss_for import loss_for
from fixedpoint_nn.training.losses import Loss
from fixedpoint_nn.training.metrics import loss_of, outputs
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.entry import Entry, TrainingRecipe

EPOCHS, BATCH, RATE, CLIP = 20, 64, 1e-3, 1.0


def entry_for(name: str, net: Any, samples: SamplesFile, metric: Metric | None) -> Entry:
    """An entry that trains on nine of ten samples, and evaluates on every tenth."""
    train, test = samples.split()
    shape = outputs(net, train[0][:1]).shape[1:]
    loss, _ = loss_for(train[1], (len(train[1]), *shape))
    recurrent = any(hasattr(layer, "cells") for layer in tree.every_layer(net))
    recipe = TrainingRecipe(
        epochs=EPOCHS,
        optimiser=lambda: Adam(RATE),
        schedule=cosine(),
        loss=loss,
        clip=CLIP if recurrent else None,
    )
    chosen = metric or default_metric(test[1], (len(test[1]), *shape))
    demand_fitting(chosen, test[1], (len(test[1]), *shape))
    splits = {"train": train, "test": test}
    return Entry(
        name=name,
        summary=f"a network of {samples.path}",
        build=building(net),
        source=lambda: batches.Samples(train[0], loss_for(train[1], (len(train[1]), *shape))[1], BATCH),
        examples=lambda split: splits[split],
        figures=Figures(loss, chosen),
        recipe=recipe,
    )


def from_weights(entry: Entry, net: Any) -> Entry:
    """The zoo's entry, with training from the weights of `net`."""
    return replace(entry, build=building(net))


def building(net: Any) -> Callable[..., Any]:
    """A build function that copies the network; it takes `dropout` if the network has Dropout layers."""

    def build(seed: int = 0) -> Any:
        return own_weights(net)

    def build_with_dropout(seed: int = 0, dropout: float | None = None) -> Any:
        if dropout is None:
            return own_weights(net)
        changed = tree.transform(
            net, lambda layer: replace(layer, rate=dropout) if isinstance(layer, Dropout) else layer
        )
        return own_weights(changed)

    has_dropout = any(isinstance(layer, Dropout) for layer in tree.every_layer(net))
    return build_with_dropout if has_dropout else build


@dataclass(frozen=True)
class Figures:
    """Computes the loss and the metric."""

    loss: Loss
    metric: Metric

    def __call__(self, net: Any, x: Array, y: Array) -> dict[str, float]:
        given = outputs(net, x)
        _, labels = loss_for(y, given.shape)
        return {"loss": loss_of(net, x, labels, self.loss), self.metric.name: self.metric.value(given, y)}
