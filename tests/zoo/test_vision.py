# SPDX-License-Identifier: MIT
"""The networks that look at pictures: their shapes, that they learn, and that they are the same in fixed point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Tensor, calibrate, quantize, zoo
from fixedpoint_nn.layers import Conv2D, Dense
from fixedpoint_nn.network import tree
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.precision.fake import fake_quantize
from fixedpoint_nn.precision.qat import own_weights
from fixedpoint_nn.training import Nesterov, cross_entropy
from fixedpoint_nn.zoo import lenet, resnet8, resnet50

RNG = np.random.default_rng(0)
SMALL = {
    "lenet": (lenet.build(), 28, 1),
    "resnet8": (resnet8.build(widths=(4, 4, 8, 8)), 28, 1),
    "resnet50": (resnet50.build(size=32, classes=10, width=4), 32, 3),
    "resnet50 of another shape": (
        resnet50.build(size=45, channels=2, classes=5, depths=(1, 2), width=4),
        45,
        2,
    ),
}
small = pytest.mark.parametrize("name", SMALL)


def pictures(n: int, size: int, channels: int) -> np.ndarray:
    return RNG.random((n, size, size, channels)).astype(np.float32)


def count(net: Any) -> int:
    return sum(parameter.data.size for parameter in tree.parameters(net).values())


def weighted(net: Any) -> int:
    """How many layers have a matrix, shortcuts aside: what the number in the name counts."""
    found: list[str] = []
    tree.transform(
        net, lambda layer: found.append("") or layer if isinstance(layer, Conv2D | Dense) else layer
    )
    return len(found) - sum(".shortcut." in path for path in tree.parameters(net) if path.endswith("weight"))


# ---- ResNet-50 as it was published --------------------------------------------------------------------


@pytest.fixture(scope="module")
def published() -> Any:
    return resnet50.build()


def test_resnet50_has_the_published_number_of_parameters(published: Any) -> None:
    assert count(published) == 25_557_032
    assert {
        name: count(published[name]) for name in published.parts if name.startswith(("stage", "head"))
    } == {
        "stage1": 215_808,
        "stage2": 1_219_584,
        "stage3": 7_098_368,
        "stage4": 14_964_736,
        "head": 2_049_000,
    }


def test_the_zoo_trains_all_of_it_but_for_the_size_of_an_image(published: Any) -> None:
    ours, theirs = (
        {path: p.data.shape for path, p in tree.parameters(net).items()}
        for net in (zoo.build("resnet50"), published)
    )
    assert sum(int(np.prod(shape)) for shape in ours.values()) == 23_522_250
    assert {path for path in theirs if ours[path] != theirs[path]} == {
        "conv.weight",
        "head.weight",
        "head.bias",
    }


def test_the_numbers_in_the_names_count_the_layers(published: Any) -> None:
    assert weighted(published) == 50
    assert weighted(resnet8.build()) == 8


def test_resnet50_has_the_published_shapes(published: Any) -> None:
    shapes = {}
    with no_gradient():
        x = Tensor(pictures(1, 224, 3))
        for name, layer in published.parts.items():
            x = layer(x)
            shapes[name] = x.shape[1:]
    assert shapes == {
        "conv": (112, 112, 64),
        "norm": (112, 112, 64),
        "relu": (112, 112, 64),
        "pool": (56, 56, 64),
        "stage1": (56, 56, 256),
        "stage2": (28, 28, 512),
        "stage3": (14, 14, 1024),
        "stage4": (7, 7, 2048),
        "mean": (2048,),
        "head": (1000,),
    }


@pytest.mark.peers
def test_a_bottleneck_computes_what_pytorch_computes() -> None:
    import torch

    ours = resnet50.bottleneck(Initialiser(0, np.float64), 6, 4, 2)
    x = RNG.standard_normal((2, 9, 9, 6))

    def conv(x: Any, layer: Any, inputs: int) -> Any:
        kernel = layer.weight.data.reshape(*layer.kernel, inputs, -1).transpose(3, 2, 0, 1)
        padding = layer.padding if isinstance(layer.padding, int) else 0
        return torch.nn.functional.conv2d(x, torch.tensor(kernel), stride=layer.stride, padding=padding)

    def norm(x: Any) -> Any:
        return torch.nn.functional.batch_norm(
            x, torch.zeros(x.shape[1]).double(), torch.ones(x.shape[1]).double()
        )

    start = torch.tensor(x.transpose(0, 3, 1, 2))
    body, shortcut = ours.body, ours.shortcut
    y = norm(conv(start, body["conv1"], 6)).relu()
    y = norm(conv(y, body["conv2"], 4)).relu()
    y = norm(conv(y, body["conv3"], 4)) + norm(conv(start, shortcut["conv"], 6))
    np.testing.assert_allclose(ours(Tensor(x)).data, y.numpy().transpose(0, 2, 3, 1), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_the_whole_resnet50_takes_a_training_step_and_runs_in_fixed_point(published: Any) -> None:
    net = resnet50.build(size=64)
    x, labels = pictures(4, 64, 3), np.array([0, 999, 7, 500])
    before = net["conv"].weight.data.copy()
    assert np.isfinite(step(net, x, labels, Nesterov(1e-3)))
    assert not np.array_equal(before, net["conv"].weight.data)
    fixed = quantize(net, calibrate(net, x, word=16))
    assert fixed(x).shape == (4, 1000)
    assert np.array_equal(fixed(x[:1]).ints, fixed(x).ints[:1])


# ---- all of them ----------------------------------------------------------------------------------------


def step(net: Any, x: np.ndarray, labels: np.ndarray, optimiser: Any) -> float:
    active = tree.training_mode(net, np.random.default_rng(0))
    loss = cross_entropy(active(Tensor(x, needs_gradient=False)), labels)
    loss.backward()
    optimiser.step(tree.parameters(net))
    return float(loss.data)


@small
def test_a_few_steps_learn_a_few_pictures_by_heart(name: str) -> None:
    net, size, channels = SMALL[name]
    x, labels, optimiser = pictures(6, size, channels), np.arange(6) % 5, Nesterov(0.02)
    losses = [step(net, x, labels, optimiser) for _ in range(25)]
    assert losses[-1] < losses[0] / 2, losses


@small
@pytest.mark.parametrize("word", [4, 8])
def test_fixed_equals_the_float_network_that_rounds_in_the_same_places(name: str, word: int) -> None:
    net, size, channels = SMALL[name]
    net, x = own_weights(net, np.float64), pictures(4, size, channels).astype(np.float64)
    plan = calibrate(net, x, word=word)
    fixed, rounded = quantize(net, plan)(x), fake_quantize(net, plan)(Tensor(x))
    assert np.array_equal(fixed.to_float(), rounded.data)
    assert np.ptp(fixed.ints) > 0


def test_lenet_and_resnet8_are_small_enough_to_ship() -> None:
    assert count(lenet.build()) == 202_738
    assert count(resnet8.build()) == 147_066
    assert 4 * max(count(lenet.build()), count(resnet8.build())) < 1_000_000
