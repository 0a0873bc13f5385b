# SPDX-License-Identifier: MIT
"""The data flow between cast points, read from the tape of one small forward pass.

It tells which cast point a ReLU follows, which products a bias is added to, and which casts would round a value that
is already rounded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.functions import FUNCTIONS
from fixedpoint_nn.numbers.tensor.tensor import Tensor

MOVES = frozenset({"reshape", "transpose", "index", "windows", "max", "stack", "concat", "take"})
OUTPUT = "output"


@dataclass(frozen=True)
class DataflowNode:
    """One value: its operation and operands; `label` names an input, a parameter or a cast point."""

    operation: str
    parents: tuple[int, ...]
    shape: tuple[int, ...]
    label: str = ""


@dataclass(frozen=True)
class Dataflow:
    """The tape as data: nodes by number in the order of computation, and the users of each."""

    nodes: Mapping[int, DataflowNode]
    users: Mapping[int, tuple[int, ...]]
    casts: frozenset[str]
    outputs: frozenset[int] = frozenset()

    @classmethod
    def read(
        cls, result: Tensor | tuple[Tensor, ...], leaves: Mapping[int, str], casts: Collection[str]
    ) -> Dataflow:
        """The data flow that led to `result`; `leaves` names inputs and parameters by `id`, `casts` the cast points."""
        numbers: dict[int, int] = {}
        made: list[Tensor] = []
        results = result if isinstance(result, tuple) else (result,)
        stack = [(one, False) for one in results]
        while stack:
            tensor, ready = stack.pop()
            if id(tensor) in numbers:
                continue
            if ready:
                numbers[id(tensor)] = len(made)
                made.append(tensor)
            else:
                stack.append((tensor, True))
                stack += [(parent, False) for parent in tensor.parents if id(parent) not in numbers]
        nodes: dict[int, DataflowNode] = {}
        users: dict[int, list[int]] = {number: [] for number in range(len(made))}
        for number, tensor in enumerate(made):
            parents = tuple(numbers[id(parent)] for parent in tensor.parents)
            cast = tensor.operation if tensor.operation in casts else ""
            nodes[number] = DataflowNode(
                tensor.operation, parents, tensor.shape, cast or leaves.get(id(tensor), "")
            )
            for parent in parents:
                users[parent].append(number)
        outputs = frozenset(numbers[id(one)] for one in results)
        return cls(nodes, {number: tuple(u) for number, u in users.items()}, frozenset(casts), outputs)

    # ---- questions about a place, over all time steps ------------------------------------------------

    def places(self, label: str) -> list[int]:
        """The nodes with this label, one for each time step."""
        return [number for number, node in self.nodes.items() if node.label == label]

    def _uses(self, number: int) -> Iterator[int | None]:
        """The nodes that compute with this value, seen through data movement; None is the network's output."""
        if number in self.outputs or not self.users[number]:
            yield None
        for user in self.users[number]:
            if self.nodes[user].operation in MOVES:
                yield from self._uses(user)
            else:
                yield user

    def uses(self, label: str) -> set[str]:
        """The operations that use this value, seen through data movement; a cast point counts by its path."""
        found = {use for place in self.places(label) for use in self._uses(place)}
        return {OUTPUT if use is None else self._name(use) for use in found}

    def _name(self, number: int) -> str:
        node = self.nodes[number]
        return "scaled" if node.operation == "*" and len(node.parents) == 1 else node.operation

    def source(self, number: int) -> int:
        """The node of a value before data movement and ReLUs."""
        node = self.nodes[number]
        while node.operation in MOVES | {"relu"} and len(node.parents) == 1:
            number = node.parents[0]
            node = self.nodes[number]
        return number

    def came_from(self, label: str) -> str:
        """The cast point or input whose value reaches this cast point unchanged; empty if there is none."""
        names = {self.nodes[self.source(self.nodes[place].parents[0])].label for place in self.places(label)}
        return names.pop() if len(names) == 1 else ""

    def followed_by_relu(self, label: str) -> bool:
        """Whether every user of this value is a ReLU."""
        return self.uses(label) == {"relu"}

    def only_a_relu_before_a_cast(self, label: str) -> bool:
        """Whether this value is used only by ReLUs whose results are cast next."""
        relus = [user for place in self.places(label) for user in self.users[place]]
        after = [user for relu in relus for user in self.users[relu]]
        return (
            bool(after)
            and all(self.nodes[relu].operation == "relu" and self.users[relu] for relu in relus)
            and all(self.nodes[user].label in self.casts for user in after)
        )

    def rows_of_a_take(self, parameters: Mapping[str, Any]) -> int:
        """The number of rows of the first embedding (the vocabulary); 0 without one."""
        for node in self.nodes.values():
            if node.operation == "take":
                weight = parameters.get(self.nodes[node.parents[0]].label)
                if weight is not None:
                    return int(weight.shape[0])
        return 0

    # ---- binary points -------------------------------------------------------------------------------

    def fraction_bits(self, number: int, known: Mapping[str, Any]) -> Any:
        """The fraction bits of a value, one number or (channels,), by bit growth from the casts before it.

        `known` has the fraction bits of leaves and cast points by path, and of tables by "table of " and their
        address's path. None is returned for a constant such as an initial state, which is exact in any format.
        """
        node = self.nodes[number]
        if node.label in known and known[node.label] is not None:
            return known[node.label]
        if not node.parents:
            return None
        if node.operation in FUNCTIONS:
            return known.get(f"table of {self.nodes[node.parents[0]].label}")
        bits = [self.fraction_bits(parent, known) for parent in node.parents]
        if node.operation in ("@", "*", "matmul") and len(bits) > 1:
            product = None if bits[0] is None or bits[1] is None else bits[0] + bits[1]
            bits = [product, *bits[2:]]
        given = [b for b in bits if b is not None]
        return None if not given else given[0] if len(given) == 1 else _largest(given)

    def addend_of(self, label: str) -> list[int]:
        """The values that this parameter is added to or bounds; empty if it is a factor."""
        return [
            parent
            for place in self.places(label)
            for user in self.users[place]
            if self.nodes[user].operation in ("+", "-", "maximum", "minimum")
            for parent in self.nodes[user].parents
            if parent != place
        ]

    def is_matrix(self, label: str) -> bool:
        """Whether this parameter is used only in dot products, so that its columns are output channels."""
        users = [self.nodes[user].operation for place in self.places(label) for user in self.users[place]]
        return set(users) == {"@"}

    def factors_below(self, prefix: str) -> list[tuple[int, int]]:
        """The nodes (data, weight) of each dot product with a parameter of the layer at `prefix`."""
        return [
            (node.parents[0], node.parents[1])
            for node in self.nodes.values()
            if node.operation == "@" and self.nodes[node.parents[1]].label.rpartition(".")[0] == prefix
        ]


def _largest(bits: list[Any]) -> Any:
    total = bits[0]
    for other in bits[1:]:
        total = np.maximum(total, other)
    return total
