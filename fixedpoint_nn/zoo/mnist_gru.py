# SPDX-License-Identifier: MIT
"""A GRU that reads a digit row by row: 28 steps of 28 pixels."""

from __future__ import annotations

from fixedpoint_nn.layers import Reshape, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import classification
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe
from fixedpoint_nn.zoo.images import mnist


def build(seed: int = 0, hidden: int = 128) -> Sequential:
    """The untrained network: images (n, 28, 28, 1) -> logits (n, 10)."""
    init = Initialiser(seed)
    return Sequential(
        rows=Reshape((28, 28)),
        gru=init.gru(28, hidden, last=True),
        head=init.dense(hidden, 10, "xavier"),
    )


ENTRY = Entry(
    name="mnist_gru",
    summary="a GRU of 128 over the 28 rows of an MNIST digit",
    build=build,
    source=lambda: Samples(*mnist("train"), size=128),
    examples=mnist,
    figures=classification,
    recipe=TrainingRecipe(epochs=12, optimiser=lambda: Adam(2e-3), schedule=cosine(), clip=1.0),
    bar=Bar("accuracy", 0.985, at_least=True),
)
