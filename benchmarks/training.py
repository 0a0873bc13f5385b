# SPDX-License-Identifier: MIT
"""What the tape costs: one epoch of `fashion_mlp` against a hand-written NumPy loop of the same mathematics,
and one epoch of `mnist_lstm` against PyTorch, on the CPU, with the same number of threads.

    OPENBLAS_NUM_THREADS=1 python benchmarks/training.py --steps 100

Both sides train from the same weights on the same batches, step by step in turn, so a busy machine is busy
for both. The epoch is the median step times the number of batches. `--clock cpu` counts processor time, which
other processes hardly change. The losses of both sides are compared after ten steps, before rounding grows.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.layers import Flatten, ReLU, Sequential
from fixedpoint_nn.network import tree
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training import Adam, Samples, cross_entropy

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Step = Callable[[Array, Array], float]


def taped(net: Any) -> Step:
    """A training step of this project."""
    moving, optimiser = tree.parameters(net), Adam(1e-3)

    def step(x: Array, y: Array) -> float:
        loss = cross_entropy(net(as_input(x)), y)
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


def by_pytorch(net: Any) -> Step:
    """The LSTM of 128 and its head, from the same weights."""
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ.get("OPENBLAS_NUM_THREADS", torch.get_num_threads())))
    lstm, head = nn.LSTM(28, 128, batch_first=True), nn.Linear(128, 10)
    cell = net["lstm"].cells[0]

    def theirs(values: Array) -> torch.Tensor:  # gates i f o g become i f g o
        i, f, o, g = np.split(values, 4, -1)
        return torch.tensor(np.ascontiguousarray(np.concatenate([i, f, g, o], -1).T))

    lstm.weight_ih_l0.data = theirs(cell.input_weight.data)
    lstm.weight_hh_l0.data = theirs(cell.state_weight.data)
    lstm.bias_ih_l0.data, lstm.bias_hh_l0.data = theirs(cell.bias.data), torch.zeros(512)
    lstm.bias_hh_l0.requires_grad_(False)  # PyTorch has two biases where one is enough
    head.weight.data, head.bias.data = torch.tensor(net["head"].weight.data.T.copy()), torch.zeros(10)
    optimiser = torch.optim.Adam([*lstm.parameters(), *head.parameters()], 1e-3)

    def step(x: Array, y: Array) -> float:
        optimiser.zero_grad()
        rows = torch.from_numpy(x.reshape(-1, 28, 28))
        loss = nn.functional.cross_entropy(head(lstm(rows)[0][:, -1]), torch.from_numpy(y))
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


def measure(pair: tuple[Step, Step], steps: int, clock: Callable[[], float], images: Any) -> dict[str, float]:
    """Seconds for one epoch of each, their ratio, and how far apart their losses are after ten steps."""
    source = Samples(images.x, images.y, 128)
    seconds: tuple[list[float], list[float]] = ([], [])
    apart = 0.0
    for number, (x, y) in enumerate(source.epoch(np.random.default_rng(0))):
        if number == steps:
            break
        losses = []
        for step, record in zip(pair, seconds, strict=True):
            start = clock()
            losses.append(step(x, y))
            record.append(clock() - start)
        apart = abs(losses[0] - losses[1]) if number == 9 else apart
    here, there = (float(np.median(record[3:])) * len(source) for record in seconds)
    return {"here": here, "there": there, "ratio": here / there, "losses_apart": apart}


def main() -> None:
    from fixedpoint_nn import data

    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--steps", type=int, default=100, help="steps of each, 4 or more")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    clock = CLOCKS[options.clock]
    dense, recurrent = mlp(), zoo.build("mnist_lstm")
    results = {
        "fashion_mlp, by hand in NumPy": measure(
            (taped(dense), by_hand(dense)), options.steps, clock, data.fashion_mnist()[0]
        ),
        "mnist_lstm, PyTorch": measure(
            (taped(recurrent), by_pytorch(recurrent)), options.steps, clock, data.mnist()[0]
        ),
    }
    if options.json:
        print(json.dumps(results, indent=1))
        return
    print(f"{options.clock} clock, one epoch, {os.environ.get('OPENBLAS_NUM_THREADS', 'all')} threads")
    for name, r in results.items():
        print(
            f"{name:32s} here {r['here']:6.2f} s   there {r['there']:6.2f} s   ratio {r['ratio']:.2f}"
            f"   losses apart {r['losses_apart']:.1e}"
        )


if __name__ == "__main__":
    main()
