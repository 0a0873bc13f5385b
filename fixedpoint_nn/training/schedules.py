# SPDX-License-Identifier: MIT
"""Learning-rate schedules: the progress of the training (0 to 1) -> a factor of the rate."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

Schedule = Callable[[float], float]


def constant() -> Schedule:
    """A factor of 1 throughout."""
    return lambda done: 1.0


def linear(end: float = 0.0) -> Schedule:
    """Linear from 1 to `end`."""
    return lambda done: 1 + (end - 1) * done


def cosine(end: float = 0.0) -> Schedule:
    """Half a cosine wave from 1 to `end`."""
    return lambda done: end + (1 - end) * (1 + cos(pi * done)) / 2


def steps(at: tuple[float, ...], factor: float = 0.1) -> Schedule:
    """Piecewise constant: multiplied by `factor` at each progress in `at`."""
    return lambda done: factor ** sum(done >= place for place in at)


def warmup(share: float, then: Schedule) -> Schedule:
    """Linear from 0 to 1 during the first `share` of the training, then the schedule `then` over the rest."""
    if not 0 < share < 1:
        raise ValueError(f"a warm-up of {share} of the training is not between 0 and 1")
    return lambda done: done / share if done < share else then((done - share) / (1 - share))


# By name, for the command line.
SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "steps": lambda: steps((0.5, 0.75)),
    "warmup": lambda: warmup(0.05, cosine()),
}
