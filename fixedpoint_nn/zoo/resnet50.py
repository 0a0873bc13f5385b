# SPDX-License-Identifier: MIT
"""ResNet-50 (He, Zhang, Ren and Sun, 2015): four stages of 3, 4, 6 and 3 bottlenecks.

The stride of a stage stands in its 3x3 convolution, as in the networks that are published with weights. At 1000
classes it has 25,557,032 trained parameters. It is not trained here: it shows that nothing in the package is small.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from fixedpoint_nn.initialise import Initialiser
from fixedpoint_nn.layers import BatchNorm, MaxPool2D, ReLU, Residual, Sequential
from fixedpoint_nn.layers.padding import resolve
from fixedpoint_nn.movement import output_size
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import classification
from fixedpoint_nn.training.optimisers import Nesterov
from fixedpoint_nn.training.schedules import cosine, warmup
from fixedpoint_nn.zoo.entry import Entry, Examples, Recipe

DEPTHS = (3, 4, 6, 3)
WIDENING = 4


def bottleneck(init: Initialiser, inputs: int, width: int, stride: int) -> Residual:
    """1x1 to `width` channels, 3x3, 1x1 to four times as many; a shortcut that changes shape is a 1x1 convolution."""
    outputs = WIDENING * width
    body = Sequential(
        conv1=init.conv(inputs, width, 1, bias=False), norm1=init.batch_norm(width), relu1=ReLU(),
        conv2=init.conv(width, width, 3, stride, 1, bias=False), norm2=init.batch_norm(width), relu2=ReLU(),
        conv3=init.conv(width, outputs, 1, bias=False), norm3=_quiet(init.batch_norm(outputs)),
    )
    if stride == 1 and inputs == outputs:
        return Residual(body)
    shortcut = Sequential(
        conv=init.conv(inputs, outputs, 1, stride, 0, bias=False), norm=init.batch_norm(outputs)
    )
    return Residual(body, shortcut)
