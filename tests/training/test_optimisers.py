# SPDX-License-Identifier: MIT
"""Each optimiser against its published formula, written again number by number."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from fixedpoint_nn import Tensor
from fixedpoint_nn.training.optimisers import (
    OPTIMISERS,
    SGD,
    Adam,
    AdamW,
    Momentum,
    Nesterov,
    Optimiser,
    RMSProp,
    clip_gradients,
    gradient_norm,
)

Step = Callable[[float, list[float]], float]


def sgd(w: float, gradients: list[float]) -> float:
    for g in gradients:
        w = w - 0.1 * g
    return w


def momentum(w: float, gradients: list[float]) -> float:
    v = 0.0
    for g in gradients:
        v = 0.9 * v + g
        w = w - 0.1 * v
    return w


def nesterov(w: float, gradients: list[float]) -> float:
    v = 0.0
    for g in gradients:
        v = 0.9 * v + g
        w = w - 0.1 * (g + 0.9 * v)
    return w


def rmsprop(w: float, gradients: list[float]) -> float:
    s = 0.0
    for g in gradients:
        s = 0.99 * s + 0.01 * g * g
        w = w - 0.1 * g / (math.sqrt(s) + 1e-8)
    return w


def adam(w: float, gradients: list[float], decay: float = 0.0) -> float:
    m = s = 0.0
    for t, g in enumerate(gradients, 1):
        w = w - 0.1 * decay * w
        m = 0.9 * m + 0.1 * g
        s = 0.999 * s + 0.001 * g * g
        w = w - 0.1 * (m / (1 - 0.9**t)) / (math.sqrt(s / (1 - 0.999**t)) + 1e-8)
    return w


def adamw(w: float, gradients: list[float]) -> float:
    return adam(w, gradients, decay=0.3)


FORMULAS: list[tuple[Optimiser, Step]] = [
    (SGD(0.1), sgd),
    (Momentum(0.1), momentum),
    (Nesterov(0.1), nesterov),
    (RMSProp(0.1), rmsprop),
    (Adam(0.1), adam),
    (AdamW(0.1, decay=0.3), adamw),
]


@pytest.mark.parametrize(("optimiser", "formula"), FORMULAS, ids=lambda value: getattr(value, "__name__", ""))
def test_ten_steps_follow_the_formula(optimiser: Optimiser, formula: Step) -> None:
    rng = np.random.default_rng(3)
    start, gradients = rng.standard_normal((2, 3)), rng.standard_normal((10, 2, 3))
    parameter = Tensor(start.copy())
    for gradient in gradients:
        parameter.grad = gradient.copy()
        optimiser.step({"w": parameter})
    for place in np.ndindex(2, 3):
        expected = formula(float(start[place]), [float(gradient[place]) for gradient in gradients])
        assert parameter.data[place] == pytest.approx(expected, rel=1e-12)
    optimiser.reset()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_finds_the_bottom_of_a_bowl(name: str) -> None:
    rates = {"sgd": 0.1, "momentum": 0.05, "nesterov": 0.05, "rmsprop": 0.02, "adam": 0.1, "adamw": 0.1}
    optimiser = OPTIMISERS[name](rates[name])
    parameter = Tensor(np.array([[3.0, -2.0]]))
    for step in range(400):
        ((parameter - 1) ** 2 * Tensor([[1.0, 3.0]])).sum().backward()
        optimiser.step({"w": parameter}, 1 - step / 400)
    assert np.abs(parameter.data - 1).max() < 0.02


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_step_is_taken_in_place_and_forgets_the_gradient(name: str) -> None:
    parameter = Tensor(np.ones((2, 2), np.float32))
    array, gradient = parameter.data, np.full((2, 2), 0.5, np.float32)
    parameter.grad = gradient
    OPTIMISERS[name]().step({"w": parameter})
    assert parameter.data is array
    assert (array != 1).all()
    assert array.dtype == np.float32
    assert parameter.grad is None
    assert (gradient == 0.5).all(), "the gradient's array may belong to somebody else"


@pytest.mark.parametrize("name", OPTIMISERS)
def test_parameters_without_a_gradient_stay(name: str) -> None:
    parameter = Tensor(np.ones((2, 2)))
    OPTIMISERS[name]().step({"w": parameter})
    assert (parameter.data == 1).all()


def test_l2_pulls_matrices_to_zero_and_leaves_biases() -> None:
    weight, bias = Tensor(np.full((2, 2), 4.0)), Tensor(np.full(2, 4.0))
    weight.grad, bias.grad = np.zeros((2, 2)), np.zeros(2)
    SGD(0.5, l2=0.5).step({"weight": weight, "bias": bias})
    assert (weight.data == 4 - 0.5 * 0.5 * 4).all()
    assert (bias.data == 4).all()


def test_l2_is_the_gradient_of_half_the_squared_length() -> None:
    values = np.random.default_rng(0).standard_normal((3, 2))
    by_option, by_loss = Tensor(values.copy()), Tensor(values.copy())
    by_option.grad = np.zeros((3, 2))
    SGD(0.1, l2=0.3).step({"w": by_option})
    ((by_loss**2).sum() * 0.15).backward()
    SGD(0.1).step({"w": by_loss})
    assert np.allclose(by_option.data, by_loss.data, rtol=1e-14)


def test_the_factor_of_a_schedule_scales_the_step() -> None:
    full, half = Tensor([1.0]), Tensor([1.0])
    full.grad, half.grad = np.array([2.0]), np.array([2.0])
    SGD(0.1).step({"w": full})
    SGD(0.1).step({"w": half}, 0.5)
    assert (full.data[0], half.data[0]) == (0.8, 0.9)


def test_clipping_shortens_all_gradients_together() -> None:
    a, b = Tensor(np.zeros((1, 2))), Tensor(np.zeros(1))
    a.grad, b.grad = np.array([[3.0, 0.0]]), np.array([4.0])
    assert gradient_norm({"a": a, "b": b}) == 5
    assert clip_gradients({"a": a, "b": b}, 1.0) == 5
    assert np.allclose(a.grad, [[0.6, 0]])
    assert np.allclose(b.grad, [0.8])


def test_short_gradients_are_not_clipped() -> None:
    a = Tensor(np.zeros(2))
    a.grad = gradient = np.array([0.3, 0.4])
    assert clip_gradients({"a": a}, 1.0) == 0.5
    assert a.grad is gradient


@pytest.mark.parametrize("settings", [{"rate": 0.0}, {"rate": -1.0}, {"l2": -0.1}])
def test_settings_that_cannot_learn_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cannot learn: the rate must be above 0 and l2 not below 0"):
        SGD(**settings)
