# SPDX-License-Identifier: MIT
"""Chains of element-wise operations: the real number that a file computes from an integer, in the file's order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = Any  # (channels, n), in the dtype of the computation
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
        """1 per channel if it increases, -1 if it decreases."""
        return _signs(self.values)


@dataclass(frozen=True)
class Over:
    """y / values."""

    values: Numbers

    def __call__(self, y: Floats) -> Floats:
        return y / _column(self.values, y)

    @property
    def signs(self) -> Any:
        """1 per channel if it increases, -1 if it decreases."""
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
    """y clipped to low..high."""

    low: float = -np.inf
    high: float = np.inf

    def __call__(self, y: Floats) -> Floats:
        return np.minimum(np.maximum(y, y.dtype.type(self.low)), y.dtype.type(self.high))

    signs = 1


@dataclass(frozen=True)
class Leaning:
    """y if y > 0, else y * slopes."""

    slopes: Numbers

    def __call__(self, y: Floats) -> Floats:
        return np.where(y >= 0, y, y * _column(self.slopes, y))

    @property
    def signs(self) -> Any:
        """1, -1, or 0 if it is not monotonic."""
        return np.where(np.array(self.slopes) < 0, 0, 1)


@dataclass(frozen=True)
class Curve:
    """A function of floats; `signs` is 1, -1, or 0 if it is not monotonic."""

    name: str
    function: Callable[[Floats], Floats]
    signs: int = 1

    def __call__(self, y: Floats) -> Floats:
        return np.asarray(self.function(y), y.dtype)


Link = Times | Over | Plus | Within | Leaning | Curve
Chain = tuple[Link, ...]


def applied(chain: Chain, integers: Any, dtype: Any) -> Floats:
    """The real numbers of integers (channels, n), with every operation computed in `dtype`."""
    with np.errstate(all="ignore"):
        y = np.asarray(integers).astype(dtype)
        for link in chain:
            y = link(y)
    return y


def channels(chain: Chain) -> int:
    """The number of channels with different constants; 1 if all are equal."""
    counts = [len(n) for link in chain for n in vars(link).values() if isinstance(n, tuple)]
    return max(counts, default=1)


def signs(chain: Chain) -> Any:
    """For each channel 1 if the chain increases, -1 if it decreases, 0 if neither is certain."""
    result = np.ones(channels(chain), np.int64)
    for link in chain:
        result = result * link.signs
    return result


def line(chain: Chain) -> tuple[Any, Any] | None:
    """(factors, shifts) if the chain is n * factor + shift, then only clipping; else None."""
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
