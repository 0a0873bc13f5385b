# SPDX-License-Identifier: MIT
"""After LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998): padded convolutions, max and mean pooling."""

from __future__ import annotations

from fixedpoint_nn.data import Flip, InTurn, Shift
from fixedpoint_nn.layers import Dropout, Flatten, MaxPool2D, ReLU, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import classification
from fixedpoint_nn.training.optimisers import AdamW
from fixedpoint_nn.training.schedules import cosine, warmup
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe
from fixedpoint_nn.zoo.images import fashion_mnist


def build(
    seed: int = 0, channels: int = 1, classes: int = 10, hidden: int = 120, dropout: float = 0.25
) -> Sequential:
    """The untrained network: images (n, 28, 28, channels) -> logits (n, classes)."""
    init = Initialiser(seed)
    return Sequential(
        conv1=init.conv(channels, 16, 5),
        relu1=ReLU(),
        pool1=MaxPool2D(),
        conv2=init.conv(16, 32, 5),
        relu2=ReLU(),
        pool2=init.avg_pool(2),
        flatten=Flatten(),
        fc1=init.dense(7 * 7 * 32, hidden),
        relu3=ReLU(),
        drop=Dropout(dropout),
        fc2=init.dense(hidden, classes, "xavier"),
    )


ENTRY = Entry(
    name="lenet",
    summary="two padded convolutions, maximum and mean pooling, two dense layers on Fashion-MNIST",
    build=build,
    source=lambda: Samples(*fashion_mnist("train"), size=128, augment=InTurn(Shift(1), Flip())),
    examples=fashion_mnist,
    figures=classification,
    recipe=TrainingRecipe(
        epochs=14, optimiser=lambda: AdamW(2e-3, decay=0.02), schedule=warmup(0.05, cosine())
    ),
    bar=Bar("accuracy", 0.92, at_least=True),
)
