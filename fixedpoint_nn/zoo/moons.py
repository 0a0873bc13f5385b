# SPDX-License-Identifier: MIT
"""micrograd's classifier of two moons, 2-16-16-1, on arrays and on scalars."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from fixedpoint_nn import data
from fixedpoint_nn.layers import ReLU, Tanh
from fixedpoint_nn.layers import Sequential as Layers
from fixedpoint_nn.network import tree
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.losses import hinge
from fixedpoint_nn.training.metrics import loss_of, outputs
from fixedpoint_nn.training.optimisers import Nesterov
from fixedpoint_nn.training.schedules import cosine, linear
from fixedpoint_nn.zoo.entry import Bar, Entry, Examples, TrainingRecipe, check_split

ACTIVATIONS = {"relu": ReLU, "tanh": Tanh}
HIDDEN = 16


def build(seed: int = 0, activation: str = "relu", hidden: tuple[int, int] = (HIDDEN, HIDDEN)) -> Layers:
    """The untrained network: points (n, 2) -> scores (n, 1), positive for class 1."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation {activation!r} is not known here; use one of {', '.join(ACTIVATIONS)}")
    init, make = Initialiser(seed), ACTIVATIONS[activation]
    return Layers(
        fc1=init.dense(2, hidden[0]),
        act1=make(),
        fc2=init.dense(hidden[0], hidden[1]),
        act2=make(),
        fc3=init.dense(hidden[1], 1, "xavier"),
    )


@cache
def examples(split: str) -> Examples:
    """Points x (n, 2), and labels y (n,), -1 or 1."""
    check_split(split, "moons are")
    found = data.moons(200, noise=0.1)[split == "test"]
    return found.x, 2 * found.y - 1


def figures(net: Any, x: Array, y: Array) -> dict[str, float]:
    """The hinge loss and the accuracy."""
    right = (outputs(net, x)[:, 0] > 0) == (y > 0)
    return {"loss": loss_of(net, x, y, hinge), "accuracy": float(right.mean())}


ENTRY = Entry(
    name="moons",
    summary="micrograd's 2-16-16-1 on two moons",
    build=build,
    source=lambda: Samples(*examples("train"), size=20),
    examples=examples,
    figures=figures,
    recipe=TrainingRecipe(
        epochs=100, optimiser=lambda: Nesterov(0.05, l2=1e-4), schedule=cosine(), loss=hinge
    ),
    bar=Bar("accuracy", 1.0, at_least=True),
)


class ScalarNetwork:
    """The same network with one scalar `Tensor` per weight, as in micrograd."""

    def __init__(self, net: Layers) -> None:
        self.activation = "tanh" if isinstance(net["act1"], Tanh) else "relu"
        self.weights: dict[str, list[list[Tensor]]] = {}
        self.biases: dict[str, list[Tensor]] = {}
        for path, parameter in tree.parameters(net).items():
            layer, kind = path.split(".")
            if kind == "weight":
                self.weights[layer] = [[Tensor(float(w)) for w in column] for column in parameter.data.T]
            else:
                self.biases[layer] = [Tensor(float(b)) for b in parameter.data]

    def __call__(self, point: Sequence[float]) -> Tensor:
        values: list[Any] = [float(value) for value in point]
        for layer, neurons in self.weights.items():
            sums = []
            for weights, bias in zip(neurons, self.biases[layer], strict=True):
                total = bias
                for weight, value in zip(weights, values, strict=True):
                    total = total + weight * value
                sums.append(total)
            if layer != "fc3":
                sums = [total.relu() if self.activation == "relu" else total.tanh() for total in sums]
            values = list(sums)
        result: Tensor = values[0]
        return result

    def parameters(self) -> dict[str, Tensor]:
        """Every weight and bias, by name."""
        named: dict[str, Tensor] = {}
        for layer, neurons in self.weights.items():
            for j, (weights, bias) in enumerate(zip(neurons, self.biases[layer], strict=True)):
                named |= {f"{layer}.weight.{i}.{j}": weight for i, weight in enumerate(weights)}
                named[f"{layer}.bias.{j}"] = bias
        return named

    def loss(self, x: Array, y: Array) -> Tensor:
        """The hinge loss, computed on scalars."""
        total = Tensor(0.0)
        for point, label in zip(x, y, strict=True):
            total = total + (1 - self(point) * float(label)).relu()
        return total / len(x)

    def train(self, x: Array, y: Array, epochs: int = 20, size: int = 10, rate: float = 0.05) -> list[float]:
        """Train on mini-batches in order, at a falling rate; returns the mean loss of each epoch."""
        optimiser, parameters, falling = Nesterov(rate), self.parameters(), linear(0.1)
        starts, losses = range(0, len(x), size), []
        for epoch in range(epochs):
            total = 0.0
            for place, start in enumerate(starts):
                loss = self.loss(x[start : start + size], y[start : start + size])
                loss.backward()
                optimiser.step(parameters, falling((epoch + place / len(starts)) / epochs))
                total += float(loss.data)
            losses.append(total / len(starts))
        return losses

    def accuracy(self, x: Array, y: Array) -> float:
        """The share of points that are classified correctly."""
        scores = np.array([float(self(point).data) for point in x])
        return float(((scores > 0) == (y > 0)).mean())
