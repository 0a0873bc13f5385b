# SPDX-License-Identifier: MIT
"""What real number a file makes of an integer: its operations on one element, in the file's order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = Any  # (channels, n), in the precision of the computation
Numbers = tuple[float, ...]  # one, or one for each channel


def _column(values: Numbers, like: Floats) -> Floats:
    return np.array(values, like.dtype)[:, np.newaxis]


def _signs(values: Numbers) -> Any:
    return np.where(np.array(values) < 0, -1, 1)


@dataclass(frozen=True)
class Times:
    """y * values."""

    values: Numbers

    def __call__(self, y: Floats) -> Floats:
        return y * _column(self.values, y)

    @property
    def signs(self) -> Any:
        """1 where it rises, -1 where it falls."""
        return _signs(self.values)


@dataclass(frozen=True)
class Over:
    """y / values."""

    values: Numbers

    def __call__(self, y: Floats) -> Floats:
        return y / _column(self.values, y)

    @property
    def signs(self) -> Any:
        """1 where it rises, -1 where it falls."""
        return _signs(self.values)


@dataclass(frozen=True)
class Plus:
    """y + values."""

    values: Numbers

    def __call__(self, y: Floats) -> Floats:
        return y + _column(self.values, y)

    signs = 1


@dataclass(frozen=True)
class Within:
    """y, but no less than low and no more than high."""

    low: float = -np.inf
    high: float = np.inf

    def __call__(self, y: Floats) -> Floats:
        return np.minimum(np.maximum(y, y.dtype.type(self.low)), y.dtype.type(self.high))

    signs = 1


@dataclass(frozen=True)
class Leaning:
    """y where it is positive, else y * slopes."""

    slopes: Numbers

    def __call__(self, y: Floats) -> Floats:
        return np.where(y >= 0, y, y * _column(self.slopes, y))

    @property
    def signs(self) -> Any:
        """0 where it turns."""
        return np.where(np.array(self.slopes) < 0, 0, 1)


@dataclass(frozen=True)
class Curve:
    """A function of floats; `signs` is 0 where it both rises and falls."""

    name: str
    function: Callable[[Floats], Floats]
    signs: int = 1

    def __call__(self, y: Floats) -> Floats:
        return np.asarray(self.function(y), y.dtype)


Link = Times | Over | Plus | Within | Leaning | Curve
Chain = tuple[Link, ...]


def applied(chain: Chain, integers: Any, dtype: Any) -> Floats:
    """The real numbers of integers (channels, n), every operation rounded as this kind of float rounds."""
    with np.errstate(all="ignore"):
        y = np.asarray(integers).astype(dtype)
        for link in chain:
            y = link(y)
    return y


def channels(chain: Chain) -> int:
    """For how many channels it has numbers of their own; 1 if all are alike."""
    counts = [len(n) for link in chain for n in vars(link).values() if isinstance(n, tuple)]
    return max(counts, default=1)


def signs(chain: Chain) -> Any:
    """For each channel 1 where the whole chain rises, -1 where it falls, 0 where that cannot be said."""
    result = np.ones(channels(chain), np.int64)
    for link in chain:
        result = result * link.signs
    return result


def line(chain: Chain) -> tuple[Any, Any] | None:
    """(factors, shifts) where it is n * factor + shift and then only limits; None if it is something else."""
    count = channels(chain)
    factor, shift = np.ones(count), np.zeros(count)
    for place, link in enumerate(chain):
        match link:
            case Times(values):
                factor, shift = factor * values, shift * values
            case Over(values):
                factor, shift = factor / values, shift / values
            case Plus(values):
                shift = shift + values
            case Within() if all(isinstance(rest, Within) for rest in chain[place:]):
                break
            case _:
                return None
    return factor, shift
