# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Q, Quantizer, Tensor, layers
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import parameters
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer
from fixedpoint_nn.precision import Plan, calibrate, fake_quantize, quantize, train_quantized
from fixedpoint_nn.precision.qat import own_weights
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.metrics import classification
from fixedpoint_nn.training.optimisers import Adam
from tests.support.small_networks import NAMES, small_network

RECIPES: dict[str, dict[str, Any]] = {
    "8 bits": {},
    "4 bits": {"word": 4},
    "2 bits": {"word": 2},
    "16 bits": {"word": 16},
    "per channel": {"per_channel": True},
    "wrapping": {"overflow": "wrap"},
    "floor": {"rounding": "floor"},
    "same integer bits": {"int_bits": 3},
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", NAMES)
def test_fake_quantised_floats_equal_the_integers_exactly(name: str, recipe: str) -> None:
    net, x = small_network(name)
    plan = calibrate(net, x, **RECIPES[recipe])
    fake = fake_quantize(net, plan)(x if x.dtype.kind == "i" else Tensor(x))
    assert np.array_equal(fake.data, quantize(net, plan)(x).to_float())


def test_fake_quantisation_rounds_an_array_as_it_rounds_a_tensor() -> None:
    net, x = small_network("mlp")
    fake = fake_quantize(net, calibrate(net, x, word=4))
    assert np.array_equal(fake(x), fake(Tensor(x)).data)


def test_fake_quantisation_shares_the_master_weights() -> None:
    net, x = small_network("mlp")
    fake = fake_quantize(net, calibrate(net, x))
    assert list(parameters(fake)) == list(parameters(net))
    assert all(parameters(fake)[path] is value for path, value in parameters(net).items())


def test_gradients_pass_through_rounding_and_stop_where_something_was_clipped() -> None:
    x = Tensor(np.array([0.3, 1.9, -0.26, -3.0, 0.874, 0.876, 1.2]))
    x.cast(Quantizer(Q(1, 2))).sum().backward()
    assert np.array_equal(x.grad, [1, 0, 1, 0, 1, 1, 0])
    x.grad = None
    x.cast(Quantizer(Q(1, 2), overflow=Overflow.WRAP)).sum().backward()
    assert np.array_equal(x.grad, np.ones(7))


def test_each_channel_clips_its_own_gradients() -> None:
    quantizer = ChannelQuantizer(Quantizer(Q(1, 3)), (0, -2))
    x = Tensor(np.array([[0.5, 0.5], [0.06, 0.06], [-0.9, -0.2], [0.3, 0.3]]))
    rounded = x.cast(quantizer)
    assert np.array_equal(rounded.data, [[0.5, 0.21875], [0, 0.0625], [-0.875, -0.1875], [0.25, 0.21875]])
    rounded.sum().backward()
    assert np.array_equal(x.grad, [[1, 0], [1, 1], [1, 1], [1, 0]])


def two_spirals(count: int = 400) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, count)
    along = rng.random(count)
    angle = 6 * along + np.pi * y
    points = np.stack([along * np.cos(angle), along * np.sin(angle)], 1)
    return (points + rng.normal(0, 0.03, points.shape)).astype(np.float32), y


@pytest.fixture(scope="module")
def trained() -> tuple[Any, Plan, Any]:
    x, y = two_spirals()
    make = Initialiser(0)
    net = layers.Sequential(
        fc1=make.dense(2, 12),
        relu1=layers.ReLU(),
        drop=layers.Dropout(0.1),
        fc2=make.dense(12, 12),
        relu2=layers.ReLU(),
        fc3=make.dense(12, 2),
    )
    from fixedpoint_nn.training.loop import fit

    fit(net, Samples(x, y, 32), epochs=60, optimiser=Adam(1e-2), progress=False)
    plan = calibrate(net, x, word=3)
    result = train_quantized(
        net,
        plan,
        Samples(x, y, 32),
        epochs=12,
        optimiser=Adam(5e-3),
        progress=False,
        score=lambda fixed: classification(fixed, x, y),
    )
    return net, plan, result


def test_training_for_three_bits_beats_rounding_after_training(trained: tuple[Any, Plan, Any]) -> None:
    net, plan, result = trained
    x, y = two_spirals()
    before = classification(quantize(net, plan), x, y)
    after = classification(result.fixed, x, y)
    assert after["loss"] < 0.7 * before["loss"]


def test_the_last_figure_of_the_training_is_that_of_the_fixed_network_and_of_the_fake_one(
    trained: tuple[Any, Plan, Any],
) -> None:
    _, plan, result = trained
    x, y = two_spirals()
    assert isinstance(result.fixed, Quantized)
    assert result.history.last()["accuracy"] == classification(result.fixed, x, y)["accuracy"]
    fake = fake_quantize(own_weights(result.net, np.float64), plan)(Tensor(x.astype(np.float64)))
    assert np.array_equal(fake.data, result.fixed(x).to_float())
    assert result.history.last()["accuracy"] == (fake.data.argmax(-1) == y).mean()


def test_training_for_few_bits_leaves_the_float_network_alone(trained: tuple[Any, Plan, Any]) -> None:
    net, plan, result = trained
    x, y = two_spirals()
    before = {path: value.data.copy() for path, value in parameters(net).items()}
    train_quantized(net, plan, Samples(x, y, 100), epochs=1, progress=False)
    assert all(np.array_equal(value.data, before[path]) for path, value in parameters(net).items())
    assert not np.array_equal(parameters(result.net)["fc1.weight"].data, before["fc1.weight"])
