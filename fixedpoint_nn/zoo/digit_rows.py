# SPDX-License-Identifier: MIT
"""Recurrent networks that read a digit row by row: 28 steps of 28 pixels."""

from __future__ import annotations

from fixedpoint_nn.layers import Reshape, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import classification
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe
from fixedpoint_nn.zoo.images import mnist


def row_reader(name: str, kind: str, called: str, rate: float, accuracy: float) -> Entry:
    """The entry of a network with one recurrent layer, `kind` "gru", "lstm" or "rnn", over the rows of a digit.

    `rate` is that of Adam at the start, and `accuracy` the bar of the training.
    """

    def build(seed: int = 0, hidden: int = 128) -> Sequential:
        """The untrained network: images (n, 28, 28, 1) -> logits (n, 10)."""
        init = Initialiser(seed)
        layers = {
            "rows": Reshape((28, 28)),
            kind: getattr(init, kind)(28, hidden, last=True),
            "head": init.dense(hidden, 10, "xavier"),
        }
        return Sequential(**layers)

    return Entry(
        name=name,
        summary=f"{called} of 128 over the 28 rows of an MNIST digit",
        build=build,
        source=lambda: Samples(*mnist("train"), size=128),
        examples=mnist,
        figures=classification,
        recipe=TrainingRecipe(epochs=12, optimiser=lambda: Adam(rate), schedule=cosine(), clip=1.0),
        bar=Bar("accuracy", accuracy, at_least=True),
    )
