# SPDX-License-Identifier: MIT
"""Training steps of the zoo's networks in PyTorch: the same weights, mathematics and batches as here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from fixedpoint_nn import layers
from fixedpoint_nn.numerics.arrays import Array

Step = Callable[[Array, Array], float]


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


class LastStep(nn.Module):
    """The LSTM of 128 and its head, from the same weights; it has two biases where one is enough."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(28, 128, batch_first=True), nn.Linear(128, 10)
        cell = net["lstm"].cells[0]

        def theirs(values: Array) -> torch.Tensor:  # gates i f o g become i f g o
            i, f, o, g = np.split(values, 4, -1)
            return torch.tensor(np.ascontiguousarray(np.concatenate([i, f, g, o], -1).T))

        self.lstm.weight_ih_l0.data = theirs(cell.input_weight.data)
        self.lstm.weight_hh_l0.data = theirs(cell.state_weight.data)
        self.lstm.bias_ih_l0.data, self.lstm.bias_hh_l0.data = theirs(cell.bias.data), torch.zeros(512)
        self.lstm.bias_hh_l0.requires_grad_(False)
        self.head.weight.data = torch.tensor(net["head"].weight.data.T.copy())
        self.head.bias.data = torch.zeros(10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.lstm(x.reshape(len(x), 28, 28))[0][:, -1])
        return result


def fashion_mlp(net: Any) -> nn.Module:
    def dense(layer: Any) -> nn.Linear:
        inputs, outputs = layer.weight.shape
        same = nn.Linear(inputs, outputs)
        same.weight.data = torch.tensor(np.ascontiguousarray(layer.weight.data.T))
        same.bias.data = torch.tensor(layer.bias.data.copy())
        return same

    fc1, fc2, fc3 = (dense(net[name]) for name in ("fc1", "fc2", "fc3"))
    return nn.Sequential(nn.Flatten(), fc1, nn.ReLU(), fc2, nn.ReLU(), fc3)


NETWORKS: dict[str, Callable[[Any], nn.Module]] = {
    "fashion_mlp": fashion_mlp,
    "lenet": lenet,
    "resnet8": resnet8,
    "mnist_lstm": LastStep,
}


def optimiser(name: str, model: nn.Module) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if name == "lenet":
        return torch.optim.AdamW(parameters, 2e-3, weight_decay=0.02)
    if name == "resnet8":
        return torch.optim.SGD(parameters, 0.1, momentum=0.9, nesterov=True, weight_decay=4e-4)
    return torch.optim.Adam(parameters, 1e-3)


def step_of(name: str, net: Any) -> Step:
    """A training step of the same network from the weights that it has now, on one thread."""
    torch.set_num_threads(1)
    model = NETWORKS[name](net)
    moved = optimiser(name, model)

    def step(x: Array, y: Array) -> float:
        moved.zero_grad()
        images = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        loss = nn.functional.cross_entropy(model(images), torch.from_numpy(y))
        loss.backward()
        moved.step()
        return float(loss.detach())

    return step
