# SPDX-License-Identifier: MIT
"""A multilayer perceptron for Fashion-MNIST: three dense layers with ReLU, dropout and L2."""

from __future__ import annotations

from fixedpoint_nn.layers import Dropout, Flatten, ReLU, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import classification
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe
from fixedpoint_nn.zoo.images import fashion_mnist


def build(seed: int = 0, hidden: tuple[int, int] = (256, 128), dropout: float = 0.2) -> Sequential:
    """The untrained network: images (n, 28, 28, 1) -> logits (n, 10)."""
    init = Initialiser(seed)
    first, second = hidden
    return Sequential(
        flatten=Flatten(),
        fc1=init.dense(784, first),
        relu1=ReLU(),
        drop1=Dropout(dropout),
        fc2=init.dense(first, second),
        relu2=ReLU(),
        drop2=Dropout(dropout),
        fc3=init.dense(second, 10, "xavier"),
    )


ENTRY = Entry(
    name="fashion_mlp",
    summary="784-256-128-10 with ReLU, dropout and L2 on Fashion-MNIST",
    build=build,
    source=lambda: Samples(*fashion_mnist("train"), size=128),
    examples=fashion_mnist,
    figures=classification,
    recipe=TrainingRecipe(epochs=40, optimiser=lambda: Adam(1e-3, l2=1e-5), schedule=cosine()),
    bar=Bar("accuracy", 0.90, at_least=True),
)
