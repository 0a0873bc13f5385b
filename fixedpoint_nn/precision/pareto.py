# SPDX-License-Identifier: MIT
"""Pareto fronts of loss against cost, and their hypervolume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def front(things: Sequence[T], cost: Callable[[T], float], loss: Callable[[T], float]) -> list[T]:
    """The elements that no other one dominates in cost and loss, cheapest first."""
    kept: list[T] = []
    for thing in sorted(things, key=lambda t: (cost(t), loss(t))):
        if not kept or loss(thing) < loss(kept[-1]):
            kept.append(thing)
    return kept


def hypervolume(points: Sequence[tuple[float, float]], most_cost: float, most_loss: float) -> float:
    """The area dominated by (cost, loss) points, as a share of the box up to (most_cost, most_loss)."""
    inside = [(c, max(e, 0.0)) for c, e in points if c < most_cost and e < most_loss]
    area, before = 0.0, most_loss
    for c, e in front(inside, lambda p: p[0], lambda p: p[1]):
        area += (most_cost - c) * (before - e)
        before = e
    return area / (most_cost * most_loss)
