# SPDX-License-Identifier: MIT
"""Graph: layers as named nodes, with branches, several inputs and several outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fixedpoint_nn.layers.fields import INLINE
from fixedpoint_nn.layers.structure import Layer, Parts, answered
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numbers.places import inside


@dataclass(frozen=True)
class Node:
    """A layer of a graph, and the names of the values that are its arguments, in order."""

    layer: Layer = field(metadata={INLINE: True})
    takes: tuple[str, ...]

    def __call__(self, *values: Any) -> Any:
        return self.layer(*values)


@dataclass(frozen=True)
class Graph(Parts):
    """A directed acyclic graph of layers: nodes in the order of computation; a node's result has the node's name.

    >>> from fixedpoint_nn import layers
    >>> print(Graph({"relu": Node(layers.ReLU(), ("x",)), "sum": Node(layers.Add(), ("x", "relu"))}))
    Graph: x -> sum
    node  layer  takes
    relu  ReLU   x
    sum   Add    x, relu

    `inputs` names the arguments of a call, `outputs` its results: one number, or a tuple if there are several. The
    default of `outputs` is the last node. A node that returns a tuple is followed by one `Pick` for each element in
    use.
    """

    parts: Mapping[str, Node] = field(metadata={INLINE: True})
    inputs: tuple[str, ...] = ("x",)
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "outputs", self.outputs or tuple(self.parts)[-1:])
        known = dict.fromkeys(self.inputs)
        if len(known) < len(self.inputs):
            raise ValueError(f"a graph's inputs have different names, unlike {', '.join(self.inputs)}")
        for name, node in self.parts.items():
            if name in known:
                raise ValueError(f"node {name!r} has the name of an input; give it another one")
            for value in node.takes:
                if value not in known:
                    raise ValueError(
                        f"node {name!r} takes {value!r}, which no node before it computes; "
                        "list nodes in the order of computation, without cycles"
                    )
            known[name] = None
        for name in self.outputs:
            if name not in known:
                raise ValueError(
                    f"the output {name!r} is no value of the graph; there are {', '.join(known)}"
                )
        if not self.outputs:
            raise ValueError("a graph has an output; give it a node, or outputs=")

    def __call__(self, *given: Number) -> Any:
        if len(given) != len(self.inputs):
            raise TypeError(f"the graph takes {', '.join(self.inputs)}, and was given {len(given)} values")
        answer = answered(self, given)
        if answer is not None:
            return answer
        values: dict[str, Any] = dict(zip(self.inputs, given, strict=True))
        left = self._uses()
        for name, node in self.parts.items():
            with inside(name):
                try:
                    values[name] = node(*(values[value] for value in node.takes))
                except (TypeError, ValueError) as error:
                    if type(error) not in (TypeError, ValueError) or str(error).startswith("node "):
                        raise
                    raise type(error)(f"node {name!r}: {error}") from error
            for value in node.takes:  # a value is freed after its last use
                left[value] -= 1
                if not left[value]:
                    del values[value]
        results = tuple(values[name] for name in self.outputs)
        return results if len(results) > 1 else results[0]

    def _uses(self) -> dict[str, int]:
        """How many nodes and outputs use each value."""
        uses = dict.fromkeys((*self.inputs, *self.parts), 0)
        for value in (*(value for node in self.parts.values() for value in node.takes), *self.outputs):
            uses[value] += 1
        return uses

    def __str__(self) -> str:
        rows = [("node", "layer", "takes")]
        rows += [
            (name, type(node.layer).__name__, ", ".join(node.takes)) for name, node in self.parts.items()
        ]
        first, second = (max(len(row[i]) for row in rows) + 2 for i in range(2))
        lines = [f"{name:{first}}{layer:{second}}{takes}".rstrip() for name, layer, takes in rows]
        return "\n".join([f"Graph: {', '.join(self.inputs)} -> {', '.join(self.outputs)}", *lines])


@dataclass(frozen=True)
class Pick:
    """Element `index` of the tuple that another node returns."""

    index: int

    def __call__(self, values: tuple[Any, ...]) -> Any:
        return values[self.index]
