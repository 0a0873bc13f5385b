# SPDX-License-Identifier: MIT
"""One epoch of `lenet` and of `resnet8` here and in PyTorch, on the CPU, with the same number of threads.

    OPENBLAS_NUM_THREADS=1 python benchmarks/training_vision.py --steps 60

Both train the same network on the same batches; the steps alternate, so a busy machine is busy for both. The epoch is
the median step times the number of batches. `--clock cpu` counts processor time, which other processes do not change.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from fixedpoint_nn import Tensor, layers, zoo
from fixedpoint_nn.network import tree
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training import cross_entropy

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def conv(layer: layers.Conv2D, channels: int) -> nn.Module:
    outputs = layer.weight.shape[-1]
    ky, kx = layer.kernel
    same = nn.Conv2d(
        channels, outputs, layer.kernel, layer.stride, (ky // 2, kx // 2), bias=layer.bias is not None
    )
    weight = layer.weight.data.reshape(ky, kx, channels, outputs).transpose(3, 2, 0, 1)
    same.weight.data = torch.tensor(np.ascontiguousarray(weight))
    return same


def lenet(net: Any) -> nn.Module:
    return nn.Sequential(
        conv(net["conv1"], 1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(net["conv2"], 16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(7 * 7 * 32, 120),
        nn.ReLU(),
        nn.Dropout(0.25),
        nn.Linear(120, 10),
    )


class Block(nn.Module):
    def __init__(self, block: layers.Residual, inputs: int, outputs: int) -> None:
        super().__init__()
        body: Any = block.body
        self.body = nn.Sequential(
            conv(body["conv1"], inputs),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            conv(body["conv2"], outputs),
            nn.BatchNorm2d(outputs),
        )
        shortcut: Any = block.shortcut
        self.shortcut = (
            nn.Identity()
            if shortcut is None
            else nn.Sequential(conv(shortcut["conv"], inputs), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet8(net: Any) -> nn.Module:
    return nn.Sequential(
        conv(net["conv"], 1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(net["block1"], 16, 32),
        Block(net["block2"], 32, 64),
        Block(net["block3"], 64, 64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def optimiser(name: str, parameters: Any) -> torch.optim.Optimizer:
    if name == "lenet":
        return torch.optim.AdamW(parameters, 2e-3, weight_decay=0.02)
    return torch.optim.SGD(parameters, 0.1, momentum=0.9, nesterov=True, weight_decay=4e-4)


def steppers(name: str) -> tuple[Callable[[Array, Array], None], Callable[[Array, Array], None]]:
    """One training step here, one there."""
    found = zoo.entry(name)
    net = found.build(0)
    ours, moving = found.recipe.optimiser(), tree.parameters(net)
    active = tree.training_mode(net, np.random.default_rng(0))
    model = {"lenet": lenet, "resnet8": resnet8}[name](net)
    theirs = optimiser(name, model.parameters())

    def here(x: Array, y: Array) -> None:
        cross_entropy(active(Tensor(x, needs_gradient=False)), y).backward()
        ours.step(moving)

    def there(x: Array, y: Array) -> None:
        theirs.zero_grad()
        images = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        nn.functional.cross_entropy(model(images), torch.from_numpy(y)).backward()
        theirs.step()

    return here, there


def measure(name: str, steps: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds for one epoch, here and there."""
    source = zoo.entry(name).source()
    batches = source.epoch(np.random.default_rng(0))
    pair = steppers(name)
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(steps):
        x, y = next(batches)
        for step, record in zip(pair, seconds, strict=True):
            start = clock()
            step(x, y)
            record.append(clock() - start)
    here, there = (float(np.median(record[3:])) * len(source) for record in seconds)
    return here, there


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=60, help="training steps of each (at least 4)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    threads = int(os.environ.get("OPENBLAS_NUM_THREADS", os.cpu_count() or 1))
    torch.set_num_threads(threads)
    print(
        f"NumPy {np.__version__}, PyTorch {torch.__version__}, {threads} thread(s), {options.clock} seconds an epoch"
    )
    print(f"{'network':10}{'here':>8}{'PyTorch':>10}{'ratio':>8}")
    for name in ("lenet", "resnet8"):
        here, there = measure(name, max(options.steps, 4), CLOCKS[options.clock])
        print(f"{name:10}{here:8.1f}{there:10.1f}{here / there:8.2f}")


if __name__ == "__main__":
    main()
