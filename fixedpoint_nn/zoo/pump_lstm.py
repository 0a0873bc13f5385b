# SPDX-License-Identifier: MIT
"""A LSTM that forecasts the next reading of a pump; readings that surprise it are faults."""

from __future__ import annotations

from fixedpoint_nn.layers import Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.losses import mean_squared_error
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe
from fixedpoint_nn.zoo.forecaster import figures, readings


def build(seed: int = 0, hidden: int = 24) -> Sequential:
    """The untrained network."""
    init = Initialiser(seed)
    return Sequential(lstm=init.lstm(1, hidden), head=init.dense(hidden, 1, "xavier"))


ENTRY = Entry(
    name="pump_lstm",
    summary="A LSTM of 24 that forecasts a pump's readings",
    build=build,
    source=lambda: Samples(*readings("train"), size=64),
    examples=readings,
    figures=figures,
    recipe=TrainingRecipe(
        epochs=60, optimiser=lambda: Adam(5e-3), schedule=cosine(), loss=mean_squared_error, clip=1.0
    ),
    bar=Bar("auc", 0.98, at_least=True),
)
