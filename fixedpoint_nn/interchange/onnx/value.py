# SPDX-License-Identifier: MIT
"""Values of the file in the network: the node that computes each, and the arrangement of its axes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any

MOST_ELEMENTS = 1 << 25  # of one sample of one value
BATCH = 65521  # represents an open batch size; a prime, so that it can be recognised in products
JOINED = "it joins the batch with other axes"


class Refused(Exception):
    """Raised for a node that cannot be converted; `wants` is an input that would have to be constant."""

    def __init__(self, reason: str, wants: str = "") -> None:
        super().__init__(reason)
        self.reason, self.wants = re.sub(rf"\b{BATCH}\b", "batch", reason), wants


@dataclass(frozen=True)
class Flat:
    """A flattened node with permuted features: feature i of the file is its feature order[i]."""

    node: str
    order: tuple[int, ...]


@dataclass(frozen=True)
class OnnxValue:
    """A value of the file: its node, its shape in the file, and the arrangement of its axes.

    `axes[i]` is the file's axis of axis i of the network's value. `axes[0]` is the batch, None if the file's value has
    no batch axis.
    """

    node: str
    dims: tuple[int, ...]
    axes: tuple[int | None, ...]
    kind: Any = "float"  # or "int", or the meaning of a quantised file's integers
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
        """The file's axes of a sample, in the network's order of axes."""
        return tuple(axis for axis in self.axes[1:] if axis is not None)

    @property
    def sample(self) -> tuple[int, ...]:
        """The shape of a sample in the network's order of axes."""
        return tuple(self.dims[axis] for axis in self.order)

    def place(self, axis: int) -> int:
        """The network's axis of this axis of the file."""
        return self.axes.index(axis)


def plain_axes(rank: int, batch: int | None) -> tuple[int | None, ...]:
    """The axes with the batch first, then the others in the file's order."""
    return (batch, *(axis for axis in range(rank) if axis != batch))
