# SPDX-License-Identifier: MIT
"""Synthetic sensor readings of a pump: two vibrations, a slowly changing load and noise; and readings with faults.

A forecast predicts the next reading. A fault shows where a reading differs from a good forecast.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fixedpoint_nn.data.examples import Examples
from fixedpoint_nn.numerics.arrays import Array

LENGTH = 64
FAULTY_READINGS = 6


def pump(
    n: int = 2000, length: int = LENGTH, noise: float = 0.05, seed: int = 0
) -> tuple[Examples, Examples]:
    """(train, test) of healthy readings: x (n, length, 1), and y, of the same shape, the readings one step later.

    The test set has n / 4 samples. `noise` is the standard deviation of the measurement noise.
    """
    _demand(n, length, noise)
    rng = np.random.default_rng(seed)
    return _forecasts(_healthy(n, length + 1, noise, rng)), _forecasts(
        _healthy(max(1, n // 4), length + 1, noise, rng)
    )


def faulty_pump(n: int = 400, length: int = LENGTH, noise: float = 0.05, seed: int = 1) -> Examples:
    """Readings x (n, length, 1), and y (n,): 1 for every second pump, which has one fault, else 0."""
    _demand(n, length, noise)
    rng = np.random.default_rng(seed)
    readings = _healthy(n, length, noise, rng)
    labels = np.arange(n, dtype=np.int64) % 2
    for number, row in enumerate(np.flatnonzero(labels)):
        start = int(rng.integers(length // 2, length - FAULTY_READINGS))
        CHANGES[FAULTS[number % len(FAULTS)]](readings[row], start, rng)
    return Examples(readings[..., np.newaxis], labels, ("healthy", "faulty"))


def _demand(n: int, length: int, noise: float) -> None:
    if n < 1:
        raise ValueError(f"There must be 1 series of readings or more, not {n}.")
    if length < 16:
        raise ValueError(f"A series has 16 readings (one turn of the pump) or more, not {length}.")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise is a standard deviation, 0 or more, and not {noise}.")


def _forecasts(readings: Array) -> Examples:
    values = readings[..., np.newaxis]
    return Examples(np.ascontiguousarray(values[:, :-1]), np.ascontiguousarray(values[:, 1:]), ())


def _healthy(n: int, length: int, noise: float, rng: np.random.Generator) -> Array:
    """(n, length, 1): a vibration with a period of 14 to 18 readings per pump, its third harmonic, load and noise."""
    time = np.arange(length)
    turn, phase, second = (
        rng.uniform(low, high, (n, 1)) for low, high in ((14, 18), (0, 2 * np.pi), (0, 2 * np.pi))
    )
    load = 0.8 + 0.2 * np.sin(
        2 * np.pi * time / rng.uniform(80, 160, (n, 1)) + rng.uniform(0, 2 * np.pi, (n, 1))
    )
    angle = 2 * np.pi * time / turn
    readings = load * (np.sin(angle + phase) + 0.4 * np.sin(3 * angle + second))
    return (readings + noise * rng.standard_normal((n, length))).astype(np.float32)


def _spike(readings: Array, start: int, rng: np.random.Generator) -> None:
    """One outlier."""
    readings[start] += rng.choice((-1, 1)) * rng.uniform(0.8, 1.5)


def _stuck(readings: Array, start: int, rng: np.random.Generator) -> None:
    """The sensor repeats its last reading."""
    readings[start : start + FAULTY_READINGS] = readings[start - 1]


def _slower(readings: Array, start: int, rng: np.random.Generator) -> None:
    """The pump loses half of its speed for a moment."""
    places = start - 1 + np.arange(1, FAULTY_READINGS + 1) * 0.5
    readings[start : start + FAULTY_READINGS] = np.interp(places, np.arange(len(readings)), readings.copy())


def _rattle(readings: Array, start: int, rng: np.random.Generator) -> None:
    """A loose part: some readings shake."""
    shaking = 0.5 * rng.standard_normal(FAULTY_READINGS)
    readings[start : start + FAULTY_READINGS] += shaking.astype(np.float32)


CHANGES: dict[str, Callable[[Array, int, np.random.Generator], None]] = {
    "spike": _spike,
    "stuck": _stuck,
    "slower": _slower,
    "rattle": _rattle,
}
FAULTS = tuple(CHANGES)
