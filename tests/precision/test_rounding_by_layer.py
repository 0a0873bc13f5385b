# SPDX-License-Identifier: MIT
"""Rounding by least squares against all integers there are, where they are few."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Q, Quantizer
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer
from fixedpoint_nn.precision.layer_inputs import InputMoments
from fixedpoint_nn.precision.rounding_by_layer import (
    best_reals,
    output_error,
    polish,
    round_matrix,
    round_rows,
)


def correlated(rng: Any, rows: int, columns: int) -> Any:
    return rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns)) + 0.3


@pytest.mark.parametrize("seed", range(6))
def test_the_integers_are_near_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, weight = correlated(rng, 200, 4), rng.normal(0, 1, (4, 1))
    yy, steps, low, high = x.T @ x, np.ones(1), -2, 1
    every = (np.array(codes, float).reshape(4, 1) for codes in product(range(low, high + 1), repeat=4))
    best = min(float(output_error(codes - weight, yy)[0]) for codes in every)
    by_rows = round_rows(weight, steps, low, high, yy)
    polished = polish(by_rows, weight, steps, low, high, yy)
    nearest = np.clip(np.rint(weight), low, high)
    errors = [float(output_error(codes - weight, yy)[0]) for codes in (nearest, by_rows, polished)]
    assert errors[2] <= errors[1]
    assert errors[2] <= errors[0]
    assert best <= errors[2] <= 3 * best + 1e-9


def test_real_weights_make_good_what_rounded_inputs_do_wrong() -> None:
    rng = np.random.default_rng(3)
    x, weight = correlated(rng, 500, 5), rng.normal(size=(5, 3))
    y = np.rint(x)
    yy, yx = y.T @ y, y.T @ x
    better = best_reals(weight, yy, yx)
    wrong = [np.square(x @ weight - y @ w).sum() for w in (weight, better)]
    assert wrong[1] < wrong[0]
    exact = np.linalg.lstsq(y, x @ weight, rcond=None)[0]
    assert np.allclose(better, exact)


@pytest.mark.parametrize("by_channel", [False, True])
def test_outputs_stay_closer_than_with_nearest_integers(by_channel: bool) -> None:
    rng = np.random.default_rng(5)
    x, weight = correlated(rng, 1000, 24), rng.normal(0, 0.3, (24, 6)) * np.array([1, 1, 2, 4, 1, 0.5])
    base = Quantizer(Q(1, 2))
    entry = ChannelQuantizer(base, (0, 0, 1, 2, 0, -1)) if by_channel else base
    moments = InputMoments()
    y = x + rng.normal(0, 0.2, x.shape)
    moments.add(x, y)
    rounded, chosen = round_matrix(weight, entry, moments)
    assert isinstance(chosen, ChannelQuantizer) == by_channel
    assert np.array_equal(chosen.round_floats(rounded), rounded)

    def error(matrix: Any) -> float:
        difference = x @ weight - y @ matrix
        return float(np.square(difference - difference.mean(0)).sum())

    assert error(rounded) < 0.9 * error(entry.round_floats(weight))


def test_few_samples_are_trusted_by_half_which_serves_other_samples_better() -> None:
    rng = np.random.default_rng(7)
    weight = rng.normal(0, 0.1, (40, 5))
    mixing = rng.normal(size=(20, 40)) / 20**0.5

    def rows(count: int) -> Any:
        x = rng.normal(size=(count, 20)) @ mixing
        return x, np.rint(x)

    moments = InputMoments()
    moments.add(*rows(90))
    approached, _ = round_matrix(weight, Quantizer(Q(2, 20)), moments)
    full = best_reals(weight, moments.yy, moments.yx)
    x, y = rows(4000)
    half, all_the_way, none = (np.square(x @ weight - y @ w).sum() for w in (approached, full, weight))
    assert half < 0.9 * min(all_the_way, none)
