# SPDX-License-Identifier: MIT
"""Two moons, as their formula says."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import data


def test_without_noise_the_points_lie_on_two_half_circles() -> None:
    train, _ = data.moons(101, noise=0)
    upper, lower = train.x[train.y == 0], train.x[train.y == 1]
    assert (len(upper), len(lower)) == (51, 50)
    assert np.abs(np.hypot(*upper.T) - 1).max() < 1e-6
    assert np.abs(np.hypot(*(lower - [1, 0.5]).T) - 1).max() < 1e-6
    assert upper[:, 1].min() > -1e-6
    assert lower[:, 1].max() < 0.5 + 1e-6


def test_the_seed_decides_and_test_points_are_others() -> None:
    one, same, other = data.moons(50, seed=3), data.moons(50, seed=3), data.moons(50, seed=4)
    assert np.array_equal(one[0].x, same[0].x)
    assert np.array_equal(one[1].y, same[1].y)
    assert not np.array_equal(one[0].x, other[0].x)
    assert not np.array_equal(one[0].x, one[1].x)
    assert one[0].x.dtype == np.float32


def test_noise_is_the_deviation_of_what_is_added() -> None:
    clean, noisy = data.moons(4000, noise=0, seed=1)[0], data.moons(4000, noise=0.2, seed=1)[0]
    assert abs((noisy.x - clean.x).std() - 0.2) < 0.01


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n": 1}, "Two moons have 2 points or more, not 1."),
        ({"noise": -1}, "noise is a standard deviation, 0 or more, and not -1."),
        ({"noise": float("nan")}, "noise is a standard deviation, 0 or more, and not nan."),
    ],
)
def test_impossible_moons_are_refused(arguments: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        data.moons(**arguments)  # type: ignore[arg-type]
    assert str(error.value) == sentence
