# SPDX-License-Identifier: MIT
"""What a value of the file is in the network: the node that gives it, and how its axes are arranged there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any

MOST_ELEMENTS = 1 << 25  # of one sample of one value
BATCH = 65521  # stands for a batch whose size the file leaves open; a prime, so that no product hides it
JOINED = "it joins the batch with other axes"


class Refused(Exception):
    """Why a node of the file has no layer here; `wants` is an input that would have to be a constant."""

    def __init__(self, reason: str, wants: str = "") -> None:
        super().__init__(reason)
        self.reason, self.wants = re.sub(rf"\b{BATCH}\b", "batch", reason), wants


@dataclass(frozen=True)
class Flat:
    """The same features as a flattened value, in another order: feature i of the file is feature order[i] there."""

    node: str
    order: tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A value of the file: its shape there, and which of its axes is where in the network.

    `axes[i]` is the file's axis that is axis i of the network's value. `axes[0]` is the batch; it is None where the
    file's value has no such axis, because the file computes one sample at a time.
    """

    node: str
    dims: tuple[int, ...]
    axes: tuple[int | None, ...]
    kind: Any = "float"  # or "int", or what the integers of a quantised file mean
    flat: Flat | None = None

    def __post_init__(self) -> None:
        if prod(self.sample) > MOST_ELEMENTS:
            raise Refused(
                f"its result has {prod(self.sample):,} elements for each sample, and {MOST_ELEMENTS:,} is the most"
            )
        if min(self.dims, default=1) < 1:
            raise Refused(f"its result of shape {list(self.dims)} holds nothing")

    @property
    def batch(self) -> int | None:
        """The file's batch axis."""
        return self.axes[0]

    @property
    def order(self) -> tuple[int, ...]:
        """The file's axes of a sample, in the network's order."""
        return tuple(axis for axis in self.axes[1:] if axis is not None)

    @property
    def sample(self) -> tuple[int, ...]:
        """The shape of a sample in the network."""
        return tuple(self.dims[axis] for axis in self.order)

    def place(self, axis: int) -> int:
        """Where the file's axis is in the network."""
        return self.axes.index(axis)


def plain_axes(rank: int, batch: int | None) -> tuple[int | None, ...]:
    """The batch first, then the other axes as in the file."""
    return (batch, *(axis for axis in range(rank) if axis != batch))
