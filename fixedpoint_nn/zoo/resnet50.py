# SPDX-License-Identifier: MIT
"""ResNet-50 (He, Zhang, Ren and Sun, 2015): four stages of 3, 4, 6 and 3 bottlenecks.

The stride of a stage is in its 3x3 convolution, as in the published weights (ResNet v1.5). `build` makes the published
network: images of 224 x 224 in three channels, 1000 classes, 25,557,032 parameters. The zoo trains it, of the same
depth and width, on the 28 x 28 grey pixels and ten classes of Fashion-MNIST; its weights take 94 MB and are not
shipped.
"""

from __future__ import annotations

from fixedpoint_nn.layers import MaxPool2D, ReLU, Residual, Sequential
from fixedpoint_nn.layers.structure import Layer
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import classification
from fixedpoint_nn.training.optimisers import Nesterov
from fixedpoint_nn.training.schedules import cosine, warmup
from fixedpoint_nn.zoo.entry import Entry, TrainingRecipe
from fixedpoint_nn.zoo.images import fashion_mnist

DEPTHS = (3, 4, 6, 3)
WIDENING = 4
SIZE, CHANNELS, CLASSES = 224, 3, 1000


def bottleneck(init: Initialiser, inputs: int, width: int, stride: int) -> Residual:
    """A bottleneck block: 1x1 to `width` channels, 3x3, 1x1 to 4 * `width`; a 1x1 shortcut where the shape changes."""
    outputs = WIDENING * width
    body = Sequential(
        conv1=init.conv(inputs, width, 1, bias=False),
        norm1=init.batch_norm(width),
        relu1=ReLU(),
        conv2=init.conv(width, width, 3, stride, 1, bias=False),
        norm2=init.batch_norm(width),
        relu2=ReLU(),
        conv3=init.conv(width, outputs, 1, bias=False),
        norm3=init.batch_norm(outputs),
    )
    if stride == 1 and inputs == outputs:
        return Residual(body)
    shortcut = Sequential(
        conv=init.conv(inputs, outputs, 1, stride, 0, bias=False), norm=init.batch_norm(outputs)
    )
    return Residual(body, shortcut)


def stage(init: Initialiser, inputs: int, width: int, stride: int, depth: int) -> Sequential:
    """`depth` bottlenecks; the first has the stride and changes the channels."""
    parts: dict[str, Layer] = {}
    for number in range(1, depth + 1):
        parts[f"block{number}"] = bottleneck(init, inputs, width, stride)
        parts[f"relu{number}"] = ReLU()
        inputs, stride = WIDENING * width, 1
    return Sequential(parts=parts)


def build(
    seed: int = 0,
    size: int = SIZE,
    channels: int = CHANNELS,
    classes: int = CLASSES,
    depths: tuple[int, ...] = DEPTHS,
    width: int = 64,
) -> Sequential:
    """The untrained network: images (n, size, size, channels) -> logits (n, classes), for any size."""
    init = Initialiser(seed)
    parts: dict[str, Layer] = {
        "conv": init.conv(channels, width, 7, 2, 3, bias=False),
        "norm": init.batch_norm(width),
        "relu": ReLU(),
        "pool": MaxPool2D((3, 3), (2, 2), 1),
    }
    inputs = width
    for number, depth in enumerate(depths):
        parts[f"stage{number + 1}"] = stage(init, inputs, width << number, 2 if number else 1, depth)
        inputs = WIDENING * (width << number)
    last = -(-size // (2 << len(depths)))
    parts["mean"] = init.global_avg_pool(last, last)
    parts["head"] = init.dense(inputs, classes, "xavier")
    return Sequential(parts=parts)


def for_fashion_mnist(seed: int = 0) -> Sequential:
    """The network for images (n, 28, 28, 1) and ten classes: 23,522,250 parameters."""
    return build(seed, size=28, channels=1, classes=10)


ENTRY = Entry(
    name="resnet50",
    summary="ResNet-50: bottlenecks 3-4-6-3, 23.5 million parameters, on Fashion-MNIST",
    build=for_fashion_mnist,
    source=lambda: Samples(*fashion_mnist("train"), size=64),
    examples=fashion_mnist,
    figures=classification,
    recipe=TrainingRecipe(
        epochs=1, optimiser=lambda: Nesterov(0.02, l2=1e-4), schedule=warmup(0.1, cosine())
    ),
)
