# SPDX-License-Identifier: MIT
"""Steps of training beside PyTorch on one thread, and beside a hand-written NumPy loop of the same mathematics.

Both sides train from the same weights on the same batches, step by step in turn. Where the mathematics is the same to
the last operation, the losses of the first steps are compared too, before rounding grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import numpy as np

from benchmarks.timing import Comparison, Engine, Target, compare
from fixedpoint_nn import zoo
from fixedpoint_nn.layers import Flatten, ReLU, Sequential
from fixedpoint_nn.network import tree
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.numbers.reused_memory import reused_memory
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training import Adam, cross_entropy

HERE, HAND, TORCH = "fixedpoint_nn", "NumPy by hand", "PyTorch"
# An epoch takes at most so many times PyTorch's time.
LONGEST = {"fashion_mlp": 1.0, "lenet": 1.5, "resnet8": 1.5, "mnist_lstm": 1.3}
SAME_MATHEMATICS = ("fashion_mlp", "mnist_lstm")  # no dropout, no batch statistics
FIRST_STEPS, APART = 3, 1e-4
Step = Callable[[Array, Array], float]


def taped(net: Any, optimiser: Any) -> Step:
    """A training step of this project."""
    moving, active = tree.parameters(net), tree.training_mode(net, np.random.default_rng(0))

    def step(x: Array, y: Array) -> float:
        loss = cross_entropy(active(as_input(x)), y)
        loss.backward()
        optimiser.step(moving)
        return float(loss.data)

    return step


def mlp() -> Any:
    init = Initialiser(0)
    return Sequential(
        flatten=Flatten(),
        fc1=init.dense(784, 256),
        relu1=ReLU(),
        fc2=init.dense(256, 128),
        relu2=ReLU(),
        fc3=init.dense(128, 10, "xavier"),
    )


def by_hand(net: Any) -> Step:
    """784-256-128-10, softmax and Adam as one would write them out: no tape, no layers."""
    weights = [parameter.data.copy() for parameter in tree.parameters(net).values()]
    means, squares = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    steps = 0

    def step(x: Array, y: Array) -> float:
        nonlocal steps
        w1, b1, w2, b2, w3, b3 = weights
        x = x.reshape(len(x), 784)
        h1 = np.maximum(x @ w1 + b1, 0)
        h2 = np.maximum(h1 @ w2 + b2, 0)
        z = h2 @ w3 + b3
        z -= z.max(1, keepdims=True)
        rows = np.arange(len(y))
        right = z[rows, y]
        p = np.exp(z)
        total = p.sum(1, keepdims=True)
        loss = (np.log(total[:, 0]) - right).mean()
        p /= total
        p[rows, y] -= 1
        p /= len(y)
        g2 = (p @ w3.T) * (h2 > 0)
        g1 = (g2 @ w2.T) * (h1 > 0)
        gradients = [x.T @ g1, g1.sum(0), h1.T @ g2, g2.sum(0), h2.T @ p, p.sum(0)]
        steps += 1
        unbiased = np.sqrt(1 - 0.999**steps)
        rate = 1e-3 * unbiased / (1 - 0.9**steps)
        for w, g, m, s in zip(weights, gradients, means, squares, strict=True):
            m *= 0.9
            m += 0.1 * g
            s *= 0.999
            s += 0.001 * g * g
            w -= rate * m / (np.sqrt(s) + 1e-8 * unbiased)
        return float(loss)

    return step


def steps_of(name: str) -> dict[str, Step]:
    """The ways to train a network, all from the same weights."""
    net = mlp() if name == "fashion_mlp" else zoo.build(name)
    steps: dict[str, Step] = {}
    try:
        from benchmarks.training_torch import step_of
    except ImportError:
        pass
    else:
        steps[TORCH] = step_of(name, net)
    if name == "fashion_mlp":
        steps[HAND] = by_hand(net)
    optimiser = Adam(1e-3) if name in SAME_MATHEMATICS else zoo.entry(name).recipe.optimiser()
    return {**steps, HERE: taped(net, optimiser)}


def check_losses(name: str, losses: dict[str, list[float]]) -> None:
    """Demand that all ways have the same losses in their first steps."""
    first = next(iter(losses.values()))
    for way, values in losses.items():
        apart = float(np.abs(np.subtract(values, first)).max())
        assert apart < APART, f"{name}: the losses of {way} are {apart:.1e} off; it trains something else"


def run(rounds: int, clock: str) -> list[Comparison]:
    with reused_memory():  # as in `fit`
        return [comparison for name in LONGEST for comparison in _network(name, rounds, clock)]


def _network(name: str, rounds: int, clock: str) -> Iterator[Comparison]:
    source, steps = zoo.entry(name).source(), steps_of(name)
    batches = [batch for batch, _ in zip(source.epoch(np.random.default_rng(0)), range(16), strict=False)]
    losses = {way: [step(*batches[n]) for n in range(FIRST_STEPS)] for way, step in steps.items()}
    if name in SAME_MATHEMATICS:
        check_losses(name, losses)

    def repeated(step: Step) -> Callable[[], None]:
        numbers = cycle(range(len(batches)))

        def work() -> None:
            step(*batches[next(numbers)])

        return work

    engines = [Engine(way, repeated(step), len(batches[0][0])) for way, step in steps.items()]
    target = Target(HERE, TORCH, 1 / LONGEST[name])
    yield compare(
        f"Training {name}, batch {len(batches[0][0])}", engines, "samples", 3 * rounds, clock, [target]
    )
