# SPDX-License-Identifier: MIT
"""The generated readings of a pump: the same for a seed, forecastable, and faulty where they say so."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import data
from fixedpoint_nn.data.pump import CHANGES, FAULTS, FAULTY_READINGS


def test_targets_are_the_readings_one_step_later() -> None:
    for split, n in zip(data.pump(20, 32), (20, 5), strict=True):
        assert split.x.shape == split.y.shape == (n, 32, 1)
        assert np.array_equal(split.x[:, 1:], split.y[:, :-1])
        assert split.x.dtype == np.float32


def test_a_seed_decides_all_readings() -> None:
    first, second, other = data.pump(8), data.pump(8), data.pump(8, seed=1)
    assert np.array_equal(first[0].x, second[0].x) and np.array_equal(first[1].y, second[1].y)
    assert not np.array_equal(first[0].x, other[0].x)
    assert not np.array_equal(first[0].x[:2], first[1].x[:2])


def test_noise_is_what_one_asks_for() -> None:
    clean, noisy = data.pump(500, noise=0)[0], data.pump(500, noise=0.3)[0]
    assert np.abs(clean.x).max() < 1.41
    assert float((noisy.x - clean.x).std()) == pytest.approx(0.3, rel=0.05)


def test_every_second_pump_has_a_fault_and_the_others_are_healthy() -> None:
    found = data.faulty_pump(40, 48, noise=0, seed=5)
    assert found.x.shape == (40, 48, 1)
    assert found.y.tolist() == [0, 1] * 20
    # A healthy vibration has no sharp bend: its second differences are small.
    bend = np.abs(np.diff(found.x[..., 0], 2)).max(axis=1)
    assert bend[found.y == 0].max() < 0.75
    sharp = bend[found.y == 1][::4]  # a spike is the first of the faults
    assert sharp.min() > 0.75


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_its_readings_and_no_others(fault: str) -> None:
    before = np.sin(np.arange(40) / 2.5).astype(np.float32)
    after = before.copy()
    CHANGES[fault](after, 20, np.random.default_rng(0))
    changed = np.flatnonzero(before != after)
    assert len(changed) and changed.min() >= 20 and changed.max() < 20 + FAULTY_READINGS
    if fault == "stuck":
        assert (after[20:26] == before[19]).all()
    if fault == "slower":
        assert after[21] == before[20]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n": 0}, "There must be 1 series of readings or more, not 0."),
        ({"length": 15}, "A series has 16 readings (one turn of the pump) or more, not 15."),
        ({"noise": -1}, "noise is a standard deviation, 0 or more, and not -1."),
    ],
)
def test_impossible_wishes_are_answered(arguments: dict[str, float], sentence: str) -> None:
    for make in (data.pump, data.faulty_pump):
        with pytest.raises(ValueError) as caught:
            make(**arguments)  # type: ignore[arg-type]
        assert str(caught.value) == sentence
