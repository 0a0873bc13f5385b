# SPDX-License-Identifier: MIT
"""Small untrained networks, one of every kind, with inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.network.initialise import Initialiser

NAMES = ("mlp", "cnn", "residual", "lstm", "gru", "gru_reset_after", "rnn", "normalised")


def small_network(name: str, dtype: Any = np.float64) -> tuple[Any, np.ndarray[Any, Any]]:
    """(network, 40 inputs); the same ones every time."""
    make, rng = Initialiser(3, dtype), np.random.default_rng(3)
    parts, tokens = layers.Sequential, rng.integers(0, 11, (40, 7))
    if name == "mlp":
        return parts(fc1=make.dense(6, 8), relu1=layers.ReLU(), fc2=make.dense(8, 4)), rng.random(
            (40, 6), dtype
        )
    if name == "cnn":
        net = parts(
            conv1=make.conv(1, 4),
            pool=layers.MaxPool2D(),
            relu1=layers.ReLU(),
            conv2=make.conv(4, 4, groups=4),
            leaky=layers.LeakyReLU(),
            average=make.avg_pool(3),
            flatten=layers.Flatten(),
            fc=make.dense(16, 5),
            softmax=layers.Softmax(),
        )
        return net, rng.random((40, 12, 12, 1), dtype)
    if name == "residual":
        body = parts(a=make.dense(6, 6), relu=layers.ReLU(), b=make.dense(6, 6))
        net = parts(block=layers.Residual(body), relu=layers.ReLU(), fc=make.dense(6, 3), tanh=layers.Tanh())
        return net, rng.standard_normal((40, 6)).astype(dtype)
    if name == "normalised":
        bn = make.batch_norm(4)
        bn.mean.data[:], bn.variance.data[:] = rng.standard_normal(4), rng.random(4) + 0.5
        net = parts(
            conv=make.conv(2, 4, bias=False), bn=bn, relu=layers.ReLU(), gap=make.global_avg_pool(5, 5)
        )
        return net, rng.random((40, 5, 5, 2), dtype)
    recurrent = {
        "lstm": lambda: make.lstm(6, 5, 2),
        "gru": lambda: make.gru(6, 5, last=True),
        "gru_reset_after": lambda: make.gru(6, 5, last=True, reset_after=True),
        "rnn": lambda: make.rnn(6, 5),
    }[name]
    return parts(embedding=make.embedding(11, 6), cells=recurrent(), head=make.dense(5, 11)), tokens
