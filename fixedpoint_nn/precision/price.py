# SPDX-License-Identifier: MIT
"""The price of widths as a differentiable function: bit operations (EBOPs), or bits of memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.layers.fields import PARAMETER, TABLE
from fixedpoint_nn.numbers.functions import FUNCTIONS
from fixedpoint_nn.numbers.tensor.tensor import Tensor, record
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.cost import word_bits
from fixedpoint_nn.precision.learning import Learning
from fixedpoint_nn.precision.observe import STRUCTURE, Observations
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.training.methods.rounder import SPEED
from fixedpoint_nn.training.methods.widths import LearnedWidth

BIT_OPERATIONS, MEMORY = "bit_operations", "memory"
PRICES = (BIT_OPERATIONS, MEMORY)


@dataclass(frozen=True)
class Term:
    """`count` * width(first) * width(second); each is a path, or a number for a fixed width."""

    count: float
    first: str | int
    second: str | int = 1


def terms(seen: Observations, plan: Plan, price: str) -> list[Term]:
    """The terms of a price; for bit operations, the products of one sample."""
    if price not in PRICES:
        raise ValueError(f"price {price!r} is not known; use one of {', '.join(PRICES)}")
    if price == MEMORY:
        return [
            Term(leaf.value.data.size, leaf.path)
            for leaf in seen.leaves
            if leaf.kind == PARAMETER and leaf.value is not None and seen.flow.is_matrix(leaf.path)
        ]
    flow = seen.flow
    tables = {leaf.address: leaf.path for leaf in seen.leaves if leaf.kind == TABLE}

    def factor(number: int) -> str | int:
        """The place whose width this value has, or a width that no place decides."""
        number = flow.source(number)
        node = flow.nodes[number]
        if node.label and plan.get(node.label) is not None:
            return node.label
        if node.operation in FUNCTIONS:
            return word_bits(plan, tables.get(flow.nodes[node.parents[0]].label, ""))
        return max((_planned(plan, factor(parent)) for parent in node.parents), default=1)

    products = [
        node
        for node in flow.nodes.values()
        if node.operation in ("@", "*", "matmul") and len(node.parents) > 1
    ]
    # An initial state of zeros has no width; the matrix has real states in the other time steps.
    widest: dict[str, str | int] = {}
    for node in products:
        matrix, now = flow.nodes[node.parents[1]].label, factor(node.parents[0])
        if _planned(plan, now) >= _planned(plan, widest.get(matrix, 1)):
            widest[matrix] = now
    found = []
    for node in products:
        x, w = node.parents[:2]
        inner = flow.nodes[w].shape[-2] if node.operation != "*" and len(flow.nodes[w].shape) > 1 else 1
        matrix = flow.nodes[w].label
        found.append(
            Term(prod(node.shape) * inner / STRUCTURE, widest[matrix] if matrix else factor(x), factor(w))
        )
    return found


def _planned(plan: Plan, place: str | int) -> int:
    return place if isinstance(place, int) else word_bits(plan, place)


@dataclass(frozen=True)
class Price:
    """The price of a network whose widths are learned."""

    sum: tuple[Term, ...]
    plan: Plan
    widths: Mapping[str, LearnedWidth]

    @classmethod
    def of(cls, seen: Observations, plan: Plan, network: Learning, price: str = BIT_OPERATIONS) -> Price:
        """The price of the network in training; places without a learned width have the plan's."""
        widths = {
            path: rounder for path, rounder in network.rounders().items() if isinstance(rounder, LearnedWidth)
        }
        return cls(tuple(terms(seen, plan, price)), plan, widths)

    def _bits(self, place: str | int) -> float:
        if isinstance(place, int):
            return place
        if place in self.widths:
            return float(self.widths[place].bits().mean())
        return word_bits(self.plan, place)

    def now(self) -> float:
        """The price of the current widths."""
        return sum(term.count * self._bits(term.first) * self._bits(term.second) for term in self.sum)

    def slopes(self) -> dict[str, float]:
        """The derivative of the price by each place's mean width, by path."""
        found: dict[str, float] = {}
        for term in self.sum:
            for place, other in ((term.first, term.second), (term.second, term.first)):
                if isinstance(place, str) and place in self.widths:
                    found[place] = found.get(place, 0.0) + term.count * self._bits(other)
        return found

    def tensor(self, scale: float, dtype: Any = np.float32) -> Tensor:
        """The price times `scale` as a scalar Tensor, with gradients to every step and limit."""
        slopes = self.slopes()
        learned = tuple(t for path in slopes for t in (self.widths[path].exponent, self.widths[path].limit))

        def backward(g: Array) -> None:
            for path, slope in slopes.items():
                rounder = self.widths[path]
                wide = (
                    rounder.bits() > rounder.least
                )  # a word that is as narrow as can be is not pulled further
                each = float(g) * scale * slope * SPEED / wide.size * wide
                rounder.exponent.add_gradient(-each.astype(rounder.exponent.data.dtype))
                rounder.limit.add_gradient(each.astype(rounder.limit.data.dtype))

        return record(np.asarray(self.now() * scale, dtype), "price", learned, backward)


def price_of(seen: Observations, plan: Plan, price: str = BIT_OPERATIONS) -> float:
    """The price of a plan, with every channel in words of its matrix's width."""
    return Price(tuple(terms(seen, plan, price)), plan, {}).now()
