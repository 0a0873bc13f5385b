# SPDX-License-Identifier: MIT
"""micrograd's network, on arrays and on scalars."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import Tensor, zoo
from fixedpoint_nn.network import tree
from fixedpoint_nn.training import Nesterov, Samples, fit, hinge
from fixedpoint_nn.training.schedules import linear
from fixedpoint_nn.zoo import moons

X, Y = moons.examples("train")


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("seed", range(3))
def test_every_seed_and_activation_separates_the_moons(activation: str, seed: int) -> None:
    net = moons.build(seed, activation)
    recipe = moons.ENTRY.recipe
    fit(
        net,
        moons.ENTRY.source(),
        epochs=recipe.epochs,
        optimiser=recipe.optimiser(),
        loss=hinge,
        schedule=recipe.schedule,
        seed=seed,
        progress=False,
    )
    assert zoo.evaluate(net, "moons")["accuracy"] == 1
    assert zoo.evaluate(net, "moons", "train")["accuracy"] == 1


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_scalars_and_arrays_have_one_gradient(activation: str) -> None:
    net = moons.build(1, activation)
    net = tree.rebuild(net, {path: Tensor(p.data.astype(float)) for path, p in tree.parameters(net).items()})
    scalars = moons.ScalarNetwork(net)
    x, y = X[:12].astype(float), Y[:12]
    by_scalars, by_arrays = scalars.loss(x, y), hinge(net(Tensor(x)), y)
    assert float(by_scalars.data) == pytest.approx(float(by_arrays.data), rel=1e-13)
    by_scalars.backward()
    by_arrays.backward()
    gradients = {path: p.grad for path, p in tree.parameters(net).items()}
    for name, parameter in scalars.parameters().items():
        layer, kind, *place = name.split(".")
        expected = gradients[f"{layer}.{kind}"][tuple(map(int, place))]
        assert float(parameter.grad) == pytest.approx(float(expected), rel=1e-12, abs=1e-15)


def test_scalars_and_arrays_are_trained_alike() -> None:
    net = moons.build(2, "tanh")
    net = tree.rebuild(net, {path: Tensor(p.data.astype(float)) for path, p in tree.parameters(net).items()})
    scalars = moons.ScalarNetwork(net)
    x, y = X[:20].astype(float), Y[:20]
    losses = scalars.train(x, y, epochs=2, size=5)
    history = fit(
        net,
        Samples(x, y, 5, shuffle=False),
        epochs=2,
        optimiser=Nesterov(0.05),
        loss=hinge,
        schedule=linear(0.1),
        progress=False,
    )
    assert losses == pytest.approx(history.curves["train_loss"], rel=1e-11)


def test_the_network_on_scalars_learns() -> None:
    scalars = moons.ScalarNetwork(moons.build(0, "tanh"))
    losses = scalars.train(X[:16], Y[:16], epochs=6, size=8)
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_network_on_scalars_separates_the_moons(activation: str) -> None:
    scalars = moons.ScalarNetwork(moons.build(0, activation))
    scalars.train(X, Y)
    assert scalars.accuracy(*moons.examples("test")) == 1


def test_an_unknown_activation_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="activation 'gelu' is not known here; use one of relu, tanh"):
        moons.build(0, "gelu")


def test_the_moons_are_noisy_enough_that_no_line_separates_them() -> None:
    with_one = np.concatenate([X, np.ones((len(X), 1))], 1)
    line, *_ = np.linalg.lstsq(with_one, Y, rcond=None)
    assert ((with_one @ line > 0) == (Y > 0)).mean() < 0.95
