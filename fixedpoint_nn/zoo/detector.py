# SPDX-License-Identifier: MIT
"""A one-stage detector of garments: a convolutional network with one prediction per cell of a grid.

After YOLO (Redmon, Divvala, Girshick and Farhadi, 2016).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from fixedpoint_nn import data
from fixedpoint_nn.layers import MaxPool2D, ReLU, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.detection import RANGE, detections, grid_loss, mean_average_precision
from fixedpoint_nn.training.detection.grid import HEAD
from fixedpoint_nn.training.metrics import outputs
from fixedpoint_nn.training.optimisers import AdamW
from fixedpoint_nn.training.schedules import cosine, warmup
from fixedpoint_nn.zoo.entry import Bar, Entry, Examples, TrainingRecipe, check_split
from fixedpoint_nn.zoo.resnet8 import block
from fixedpoint_nn.zoo.scene_batches import SceneBatches

RARE = -3.0  # the initial bias of the objectness logit: one cell in twenty has an object


def build(
    seed: int = 0, widths: tuple[int, int, int, int] = (8, 24, 48, 64), channels: int = 1, classes: int = 10
) -> Sequential:
    """Images (n, 64, 64, channels), or of any multiple of 8 -> grid outputs (n, 8, 8, 5 + classes)."""
    init = Initialiser(seed)
    layers: dict[str, Any] = {}
    for number, (inputs, width) in enumerate(zip((channels, *widths), widths), 1):
        layers[f"conv{number}"] = init.conv(inputs, width, 3, bias=False)
        layers[f"norm{number}"] = init.batch_norm(width)
        layers[f"relu{number}"] = ReLU()
        if number < len(widths):
            layers[f"pool{number}"] = MaxPool2D()
    head = init.conv(widths[-1], HEAD + classes, 1, scheme="xavier")
    head = replace(head, bias=init.tensor([RARE] + [0.0] * (HEAD - 1 + classes)))
    for number in (1, 2):
        layers[f"block{number}"] = block(init, widths[-1], widths[-1], 1)
        layers[f"relu_block{number}"] = ReLU()
    return Sequential(**layers, head=head)


@cache
def scenes(split: str) -> Examples:
    """The scenes of one split, with their boxes; see `data.scenes`."""
    check_split(split, "scenes are")
    found = data.scenes()[split == "test"]
    return found.x, found.y


def figures(net: Any, x: Array, y: Array) -> dict[str, float]:
    """The loss, and the mean average precision at IoU 0.5 and over IoU 0.5 to 0.95."""
    told = outputs(net, x).astype(np.float64)
    with no_gradient():
        loss = float(grid_loss(Tensor(told), y).data)
    found = detections(told)
    return {
        "loss": loss,
        "map50": mean_average_precision(found, y),
        "map50_95": mean_average_precision(found, y, RANGE),
    }


ENTRY = Entry(
    name="detector",
    summary="boxes and classes of garments in scenes of 64 x 64: convolutions, two residual blocks, a grid of cells",
    build=build,
    source=lambda: SceneBatches(data.fashion_mnist()[0]),
    examples=scenes,
    figures=figures,
    recipe=TrainingRecipe(
        epochs=20, optimiser=lambda: AdamW(3e-3, decay=0.02), schedule=warmup(0.05, cosine()), loss=grid_loss
    ),
    bar=Bar("map50", 0.76, at_least=True),
)
