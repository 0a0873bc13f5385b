# SPDX-License-Identifier: MIT
"""A small residual network of eight layers: a convolution, three blocks of two convolutions, a dense layer."""

from __future__ import annotations

from fixedpoint_nn.data import Cutout, Flip, InTurn, Shift
from fixedpoint_nn.layers import ReLU, Residual, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import classification
from fixedpoint_nn.training.optimisers import Nesterov
from fixedpoint_nn.training.schedules import cosine, warmup
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe
from fixedpoint_nn.zoo.images import fashion_mnist


def block(init: Initialiser, inputs: int, outputs: int, stride: int) -> Residual:
    """A residual block of two 3x3 convolutions, with a 1x1 shortcut where the shape changes."""
    body = Sequential(
        conv1=init.conv(inputs, outputs, 3, stride, bias=False),
        norm1=init.batch_norm(outputs),
        relu=ReLU(),
        conv2=init.conv(outputs, outputs, 3, bias=False),
        norm2=init.batch_norm(outputs),
    )
    if stride == 1 and inputs == outputs:
        return Residual(body)
    shortcut = Sequential(
        conv=init.conv(inputs, outputs, 1, stride, bias=False), norm=init.batch_norm(outputs)
    )
    return Residual(body, shortcut)


def build(
    seed: int = 0, widths: tuple[int, int, int, int] = (16, 32, 64, 64), channels: int = 1, classes: int = 10
) -> Sequential:
    """The untrained network: images (n, 28, 28, channels) -> logits (n, classes)."""
    init = Initialiser(seed)
    first, second, third, fourth = widths
    return Sequential(
        conv=init.conv(channels, first, 3, bias=False),
        norm=init.batch_norm(first),
        relu=ReLU(),
        block1=block(init, first, second, 2),
        relu1=ReLU(),
        block2=block(init, second, third, 2),
        relu2=ReLU(),
        block3=block(init, third, fourth, 1),
        relu3=ReLU(),
        pool=init.global_avg_pool(7, 7),
        head=init.dense(fourth, classes, "xavier"),
    )


ENTRY = Entry(
    name="resnet8",
    summary="three residual blocks with batch normalisation, on shifted, flipped and cut Fashion-MNIST",
    build=build,
    source=lambda: Samples(*fashion_mnist("train"), size=128, augment=InTurn(Shift(2), Flip(), Cutout(6))),
    examples=fashion_mnist,
    figures=classification,
    recipe=TrainingRecipe(
        epochs=20, optimiser=lambda: Nesterov(0.1, l2=4e-4), schedule=warmup(0.1, cosine())
    ),
    bar=Bar("accuracy", 0.93, at_least=True),
)
