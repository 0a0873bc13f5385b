# SPDX-License-Identifier: MIT
"""How long the slots of a step live, and which of them can share memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.loops.plan import LoopPlan, ProductSum
from fixedpoint_nn.numerics.arrays import Array


def joined_slots(plan: LoopPlan) -> tuple[tuple[int, ...], ...]:
    """Groups of slots that one product reads, to be stored contiguously."""
    taken: set[int] = set()
    groups = []
    for operation in plan.operations:
        if not isinstance(operation, ProductSum) or len(operation.dots) < 2:
            continue
        parts = [dot.part for dot in operation.dots]
        group = tuple(part.slot for part in parts)
        whole = all(part.width == plan.widths[part.slot] for part in parts)
        if whole and len(set(group)) == len(group) and not taken & set(group):
            taken |= set(group)
            groups.append(group)
    return tuple(groups)


def slots_in_place(plan: LoopPlan) -> dict[int, int]:
    """Slots of next states that can be the memory of the state: nothing reads the state after they are written."""
    found: dict[int, int] = {}
    for state, part in zip(plan.states, plan.after, strict=True):
        whole = part.start == 0 and part.width == plan.widths[part.slot] == plan.widths[state]
        written = [n for n, operation in enumerate(plan.operations) if part.slot in written_slots(operation)]
        read = [n for n, operation in enumerate(plan.operations) if state in read_slots(operation)]
        own = part.slot not in (plan.x, *plan.states) and part.slot not in found
        joined = any(part.slot in group for group in joined_slots(plan))
        if whole and own and not joined and plan.y.slot != state and max(read, default=-1) < min(written):
            found[part.slot] = state
    return found


def written_slots(operation: Any) -> Iterator[int]:
    """The slots that an operation writes."""
    if isinstance(operation, ProductSum):
        yield from (cut.out for cut in operation.cuts)
        if operation.raw is not None:
            yield operation.raw
    else:
        yield operation.out


def read_slots(operation: Any) -> Iterator[int]:
    """The slots that an operation reads."""
    if isinstance(operation, ProductSum):
        yield from (dot.part.slot for dot in operation.dots)
    else:
        yield from (part.slot for part in (operation.a, getattr(operation, "b", None)) if part is not None)


def last_reads(plan: LoopPlan) -> dict[int, int]:
    """The number of the last operation that reads a slot, by slot."""
    return {slot: n for n, operation in enumerate(plan.operations) for slot in read_slots(operation)}


def lasting_slots(plan: LoopPlan) -> set[int]:
    """Slots that hold their values until the end of a step, or from one step to the next."""
    kept = {plan.x, *plan.states, plan.y.slot, *(part.slot for part in plan.after)}
    return kept.union(*joined_slots(plan))


class SlotMemory:
    """Memory for matrices of `rows` rows that live for a part of a step.

    What was given back is taken again, because it is still in the cache.
    """

    def __init__(self, rows: int, dtype: np.dtype[Any]) -> None:
        self.rows, self.dtype = rows, dtype
        self.free: list[Array] = []

    def take(self, width: int) -> Array:
        """A matrix in the smallest free memory that holds it, else in new memory."""
        size = self.rows * width
        sizes = [(flat.size, place) for place, flat in enumerate(self.free) if flat.size >= size]
        flat = self.free.pop(min(sizes)[1]) if sizes else np.empty(size, self.dtype)
        return flat[:size].reshape(self.rows, width)

    def give(self, matrix: Array) -> None:
        """Take back a matrix whose values are not needed any more."""
        assert matrix.base is not None
        self.free.append(matrix.base)
