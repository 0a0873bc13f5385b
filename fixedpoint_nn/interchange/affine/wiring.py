# SPDX-License-Identifier: MIT
"""The graph that the reader builds: named layers, and whose values each of them takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fixedpoint_nn.layers.fields import INLINE
from fixedpoint_nn.layers.structure import Layer, Parts
from fixedpoint_nn.numbers.number import Number


@dataclass(frozen=True)
class Wired:
    """A layer, and the names of the values that it takes."""

    layer: Layer = field(metadata={INLINE: True})
    takes: tuple[str, ...]

    def __call__(self, *values: Any) -> Any:
        return self.layer(*values)


@dataclass(frozen=True)
class Wiring(Parts):
    """Nodes in the order of computation; a node's value has the node's name, and the last one is the result."""

    parts: Mapping[str, Wired] = field(metadata={INLINE: True})
    inputs: tuple[str, ...] = ("x",)

    def __call__(self, *given: Number) -> Any:
        return list(self.values_of(*given).values())[-1]

    def values_of(self, *given: Number) -> dict[str, Any]:
        """The value of each node, by its name, with the inputs before them."""
        values: dict[str, Any] = dict(zip(self.inputs, given, strict=True))
        for name, node in self.parts.items():
            values[name] = node(*(values[taken] for taken in node.takes))
        return values
