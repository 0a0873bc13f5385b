# SPDX-License-Identifier: MIT
"""An ONNX model as plain Python: operations in the order of computation, constants as arrays."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fixedpoint_nn.numerics.arrays import Array


class OnnxError(ValueError):
    """Raised for a file that is damaged or not an ONNX model."""


@dataclass(frozen=True)
class OnnxOperation:
    """One node of the file; an absent optional input has the name ''."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    domain: str = ""


@dataclass(frozen=True)
class Branch:
    """A branch of an If: operations in the order of computation, constants, and the names of its results.

    Its names are its own; `captured` are those that it takes from outside.
    """

    operations: tuple[OnnxOperation, ...]
    constants: Mapping[str, Array]
    outputs: tuple[str, ...]
    captured: tuple[str, ...]


@dataclass(frozen=True)
class Declared:
    """An input or output: its element type, and its axes, each a size or a name ('' if unnamed)."""

    name: str
    type: str
    axes: tuple[int | str, ...]


@dataclass(frozen=True)
class OnnxModel:
    """The content of a file."""

    operations: tuple[OnnxOperation, ...]
    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]
    constants: Mapping[str, Array]
    opset: int
    about: Mapping[str, str] = field(default_factory=dict)  # the file's metadata

    def only(self, outputs: Sequence[str] | None) -> OnnxModel:
        """The model reduced to these outputs, which may be values inside of it, or to its own outputs for None."""
        declared = {output.name: output for output in self.outputs}
        computed = {name for operation in self.operations for name in operation.outputs if name}
        for name in outputs or ():
            if name not in declared and name not in computed:
                raise OnnxError(
                    f"the model computes no value {name!r}; its outputs are {', '.join(declared)}"
                )
        chosen = tuple(declared.get(name, Declared(name, "", ())) for name in outputs or declared)
        needed = {output.name for output in chosen}
        kept = []
        for operation in reversed(self.operations):
            if needed.intersection(operation.outputs):
                needed.update(operation.inputs)
                kept.append(operation)
        return replace(self, operations=tuple(kept[::-1]), outputs=chosen)

    def users(self) -> dict[str, list[OnnxOperation]]:
        """The consumers of each value, by name."""
        found: dict[str, list[OnnxOperation]] = {}
        for operation in self.operations:
            for name in dict.fromkeys(operation.inputs):
                found.setdefault(name, []).append(operation)
        return found


def in_order(operations: list[OnnxOperation], known: set[str]) -> list[OnnxOperation]:
    """The operations in topological order; raises OnnxError for a cycle."""
    made: dict[str, str] = {}
    for operation in operations:
        for name in filter(None, operation.outputs):
            if name in made or name in known:
                raise OnnxError(f"two nodes compute the value {name!r}")
            made[name] = operation.name
    waiting: dict[int, int] = {}
    users: dict[str, list[int]] = {}
    ready: deque[int] = deque()
    for number, operation in enumerate(operations):
        needed = [name for name in dict.fromkeys(operation.inputs) if name and name not in known]
        for name in needed:
            if name not in made:
                raise OnnxError(f"node {operation.name!r} takes {name!r}, which no node computes")
            users.setdefault(name, []).append(number)
        waiting[number] = len(needed)
        if not needed:
            ready.append(number)
    order: list[OnnxOperation] = []
    while ready:
        number = ready.popleft()
        operation = operations[number]
        order.append(operation)
        for name in filter(None, operation.outputs):
            for user in users.get(name, []):
                waiting[user] -= 1
                if not waiting[user]:
                    ready.append(user)
    if len(order) < len(operations):
        placed = {id(operation) for operation in order}
        circle = next(operation for operation in operations if id(operation) not in placed)
        raise OnnxError(f"node {circle.name!r} depends on its own result; a graph has no cycles")
    return order
