# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import UQ, Q, Quantizer, Tensor
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.training.methods.binary import SignStep
from fixedpoint_nn.training.methods.clipping import LearnedLimit
from fixedpoint_nn.training.methods.learned_steps import LearnedStep
from fixedpoint_nn.training.methods.rounder import SPEED, Rounder
from fixedpoint_nn.training.methods.stochastic import FixedStep

ENTRIES = [
    Quantizer(Q(1, 3)),
    Quantizer(UQ(2, 0)),
    Quantizer(Q(3, -1), overflow=Overflow.SATURATE_SYMMETRIC),
    ChannelQuantizer(Quantizer(Q(2, 1)), (0, -3, -1)),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_a_learned_step_rounds_as_the_quantizer_that_it_starts_from(entry: Any) -> None:
    x = np.random.default_rng(0).normal(0, 2, (500, 3))
    rounder = LearnedStep.of(entry, np.float64)
    assert np.array_equal(rounder(Tensor(x)).data, entry.round_floats(x))
    assert rounder.entry() == entry
    assert rounder.entry().format == entry.format


def test_a_step_is_a_power_of_two_whatever_its_exponent() -> None:
    for exponent in np.linspace(-1, 1, 41):
        rounder = LearnedStep(Tensor(np.array([exponent])), Tensor(np.zeros(1)), Quantizer(Q(2, 2)))
        step = rounder.entry().step
        assert float(np.log2(step)).is_integer()
        assert abs(np.log2(step) - SPEED * exponent) <= 0.75
        x = np.random.default_rng(1).normal(0, 4, 200)
        assert np.array_equal(rounder(Tensor(x)).data, rounder.entry().round_floats(x))


def test_no_channel_is_more_than_sixteen_times_finer_than_the_coarsest() -> None:
    rounder = LearnedStep(Tensor(np.array([0.0, -2.0])), Tensor(np.zeros(2)), Quantizer(Q(2, 2)))
    assert list(np.log2(rounder.entry().step)) == [0, -4]


def test_the_gradient_of_a_learned_step_is_rounding_error_inside_and_the_limit_outside() -> None:
    rounder = LearnedStep.of(Quantizer(Q(2, 0)), np.float64)  # integers -2..1, step 1
    x = Tensor(np.array([0.3, 0.8, 5.0, -7.0]))
    rounder(x).backward(np.array([1.0, 10.0, 100.0, 1000.0]))
    per_step = 1 * (0 - 0.3) + 10 * (1 - 0.8) + 100 * 1 + 1000 * -2
    assert np.array_equal(x.grad, [1, 10, 0, 0])
    assert np.isclose(rounder.exponent.grad[0], per_step * np.log(2) * SPEED / np.sqrt(4))


def test_the_gradient_of_a_learned_limit_is_of_clipped_values_alone() -> None:
    rounder = LearnedLimit.of(Quantizer(UQ(2, 0)), np.float64)
    x = Tensor(np.array([0.3, 2.2, 5.0]))
    rounder(x).backward(np.array([1.0, 10.0, 100.0]))
    assert np.isclose(rounder.exponent.grad[0], 100 * 3 * np.log(2) * SPEED / np.sqrt(3 * 3))
    x = Tensor(np.array([0.3, 2.2]))
    rounder.exponent.grad = None
    rounder(x).backward(np.ones(2))
    assert rounder.exponent.grad[0] == 0


def test_a_step_follows_its_gradient_to_the_least_error() -> None:
    """Gradient descent on the squared error finds the power of two that a search finds."""
    x = np.random.default_rng(2).normal(0, 1, 4000)
    errors = {p: np.square(Quantizer(Q(3 - p, p)).round_floats(x) - x).mean() for p in range(-3, 7)}
    best = min(errors, key=lambda p: errors[p])
    for start in (-1, 5):
        rounder = LearnedStep.of(Quantizer(Q(3 - start, start)), np.float64)
        for _ in range(400):
            rounder.exponent.grad = None
            rounded = rounder(Tensor(x, needs_gradient=False))
            rounded.backward(2 * (rounded.data - x) / np.sqrt(len(x)))
            rounder.exponent.data -= 0.02 * np.sign(rounder.exponent.grad) / SPEED
        assert abs(np.log2(rounder.entry().step) + best) <= 1  # it hovers beside the best one


def test_stochastic_rounding_is_right_on_average_and_draws_in_training_only() -> None:
    rounder = FixedStep.of(Quantizer(Q(4, 0)), np.float64, stochastic=True)
    x = Tensor(np.full(20_000, 1.3))
    assert np.array_equal(rounder(x).data, np.ones(20_000))
    drawn = rounder.in_training(np.random.default_rng(0))(x).data
    assert set(np.unique(drawn)) == {1.0, 2.0}
    assert abs(drawn.mean() - 1.3) < 0.02


def test_binary_weights_have_two_values_that_a_two_bit_format_holds_exactly() -> None:
    entry = ChannelQuantizer(Quantizer(Q(1, 1), overflow=Overflow.SATURATE_SYMMETRIC), (0, -1))
    rounder = SignStep.of(entry, np.float64)
    x = np.random.default_rng(0).normal(0, 0.3, (50, 2))
    settled = rounder.settled(x)
    assert np.array_equal(np.abs(settled), np.broadcast_to([0.5, 0.25], (50, 2)))
    assert np.array_equal(rounder(Tensor(x)).data, settled)
    assert np.array_equal(rounder.entry().round_floats(settled), settled)


def test_a_step_is_not_learned_for_other_roundings() -> None:
    with pytest.raises(ValueError) as refused:
        Rounder.of(Quantizer(Q(2, 2), Rounding.FLOOR, name="fc1.weight"))
    assert str(refused.value) == (
        "fc1.weight rounds by FLOOR and SATURATE, and a step is learned for HALF_EVEN and SATURATE; calibrate with "
        "those, or use method='straight-through'"
    )
