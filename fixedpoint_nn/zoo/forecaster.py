# SPDX-License-Identifier: MIT
"""The common parts of the pump forecasters: examples, metrics, and the anomaly score."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from fixedpoint_nn import data
from fixedpoint_nn.layers import Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.losses import mean_squared_error
from fixedpoint_nn.training.metrics import area_under_curve, loss_of, outputs
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.entry import Bar, Entry, Examples, TrainingRecipe, check_split

WARM_UP = 16  # readings, about one period


@cache
def readings(split: str) -> Examples:
    """Readings of healthy pumps x (n, length, 1), and the readings one step later, y."""
    check_split(split, "readings are")
    found = data.pump()[split == "test"]
    return found.x, found.y


def surprise(net: Any, x: Array) -> Array:
    """The absolute forecast error of every reading but the first: (n, length, 1) -> (n, length - 1)."""
    return np.asarray(np.abs(outputs(net, x[:, :-1]) - x[:, 1:])[..., 0])


def largest_surprise(net: Any, x: Array) -> Array:
    """The anomaly score (n,): the largest forecast error of each series after the warm-up."""
    return np.asarray(surprise(net, x)[:, WARM_UP:].max(axis=1))


def figures(net: Any, x: Array, y: Array) -> dict[str, float]:
    """The mean squared error of the forecast, and the AUC of the anomaly score for faulty against healthy pumps."""
    faulty = data.faulty_pump()
    return {
        "loss": loss_of(net, x, y, mean_squared_error),
        "auc": area_under_curve(largest_surprise(net, faulty.x), faulty.y > 0),
    }


def forecaster(name: str, kind: str) -> Entry:
    """The entry of a network with one recurrent layer, `kind` "gru" or "lstm", that predicts the next reading."""

    def build(seed: int = 0, hidden: int = 24) -> Sequential:
        """The untrained network."""
        init = Initialiser(seed)
        layers = {kind: getattr(init, kind)(1, hidden), "head": init.dense(hidden, 1, "xavier")}
        return Sequential(**layers)

    return Entry(
        name=name,
        summary=f"{kind.upper()} of 24 that forecasts a pump's readings",
        build=build,
        source=lambda: Samples(*readings("train"), size=64),
        examples=readings,
        figures=figures,
        recipe=TrainingRecipe(
            epochs=60, optimiser=lambda: Adam(5e-3), schedule=cosine(), loss=mean_squared_error, clip=1.0
        ),
        bar=Bar("auc", 0.98, at_least=True),
    )
