# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Tensor, layers
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.tree import parameters
from fixedpoint_nn.numerics.qformat import Q
from fixedpoint_nn.numerics.quantizer import Quantizer

RNG = np.random.default_rng(2)


def norm(make: Initialiser, channels: int) -> layers.BatchNorm:
    layer = make.batch_norm(channels)
    for tensor in (layer.gain, layer.bias, layer.mean):
        tensor.data[:] = RNG.standard_normal(channels)
    layer.variance.data[:] = RNG.uniform(0.1, 4, channels)
    return layer


def networks() -> dict[str, tuple[Any, tuple[int, ...], str]]:
    make = Initialiser(0, np.float64)
    parts = layers.Sequential
    return {
        "dense": (parts(fc=make.dense(5, 3), bn=norm(make, 3), relu=layers.ReLU()), (4, 5), "fc relu"),
        "conv without bias": (parts(c=make.conv(2, 4, bias=False), bn=norm(make, 4)), (2, 5, 5, 2), "c"),
        "grouped": (parts(c=make.conv(4, 6, groups=2), bn=norm(make, 6)), (2, 5, 5, 4), "c"),
        "depthwise": (parts(c=make.conv(4, 4, groups=4), bn=norm(make, 4)), (2, 5, 5, 4), "c"),
        "after a relu": (parts(r=layers.ReLU(), bn=norm(make, 5)), (4, 5), "r bn"),
        "twice": (parts(fc=make.dense(5, 3), a=norm(make, 3), b=norm(make, 3)), (4, 5), "fc"),
        "first": (parts(bn=norm(make, 5), fc=make.dense(5, 3)), (4, 5), "bn fc"),
    }


@pytest.mark.parametrize("name", networks())
def test_folding_keeps_the_function_and_the_other_parts(name: str) -> None:
    net, shape, names = networks()[name]
    folded = fold(net)
    x = Tensor(RNG.standard_normal(shape))
    assert " ".join(folded.parts) == names
    assert np.abs(folded(x).data - net(x).data).max() < 1e-12
    assert not any(isinstance(layer, layers.BatchNorm) for layer in folded)


def test_a_normalisation_inside_a_residual_block_is_folded_too() -> None:
    make = Initialiser(0, np.float64)
    net = layers.Residual(
        layers.Sequential(make.conv(3, 3), norm(make, 3), layers.ReLU(), make.conv(3, 3), norm(make, 3)),
        norm(make, 3),
    )
    folded = fold(net)
    x = Tensor(RNG.standard_normal((2, 4, 4, 3)))
    assert len(folded.body) == 3
    assert isinstance(folded.shortcut, layers.ScaleShift)
    assert np.abs(folded(x).data - net(x).data).max() < 1e-12


def test_a_layer_that_rounds_does_not_take_the_normalisation_in() -> None:
    make = Initialiser(0, np.float64)
    rounding = layers.Dense(make.tensor(np.eye(3)), None, Quantizer(Q(4, 2)))
    folded = fold(layers.Sequential(fc=rounding, bn=norm(make, 3)))
    assert isinstance(folded["bn"], layers.ScaleShift)


def test_the_network_that_was_folded_is_unchanged() -> None:
    net, _, _ = networks()["dense"]
    before = net["fc"].weight.data.copy()
    fold(net)
    assert np.array_equal(net["fc"].weight.data, before)


def test_the_folded_network_keeps_its_precision_and_can_be_trained() -> None:
    make = Initialiser(0)
    folded = fold(layers.Sequential(c=make.conv(2, 4, bias=False), bn=norm(make, 4), last=norm(make, 4)))
    (folded(Tensor(RNG.standard_normal((2, 5, 5, 2)).astype(np.float32))) ** 2).sum().backward()
    moved = parameters(folded)
    assert list(moved) == ["c.weight", "c.bias"]
    assert all(p.data.dtype == np.float32 and p.grad is not None for p in moved.values())
