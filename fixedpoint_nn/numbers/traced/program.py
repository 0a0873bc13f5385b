# SPDX-License-Identifier: MIT
"""A traced network: a flat list of operations, with shapes and formats, that can be applied to numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.qformat import QFormat

AccumulatorMonitor = Callable[[tuple[int, ...], Any], None]

# How each operation is applied to numbers, given the node's inputs, then its attributes.
VERBS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "dot": lambda a, b, initial=None, *, accumulator=None: a.dot(b, accumulator, initial),
    "relu": lambda a: a.relu(),
    "scaled": lambda a, *, power: a.scaled(power),
    "maximum": lambda a, b: a.maximum(b),
    "minimum": lambda a, b: a.minimum(b),
    "max": lambda a, *, axis, keepdims: a.max(axis, keepdims),
    "sum": lambda a, *, axis, keepdims: a.sum(axis, keepdims),
    "argmax": lambda a, *, axis: a.argmax(axis),
    "reshape": lambda a, *, shape: a.reshape(*shape),
    "transpose": lambda a, *, axes: a.transpose(*axes),
    "matmul": lambda a, b: a.matmul(b),
    "take": lambda a, ids, *, axis: a.take(ids, axis),
    "index": lambda a, *, index: a[index],
    "concat": lambda a, *others, axis: a.concat(others, axis),
    "windows": lambda a, *, kernel, stride, padding, groups, lowest: a.windows(
        kernel, stride, padding, groups, lowest
    ),
    "dilated_windows": lambda a, **about: a.windows(**about),
    "lookup": lambda a, *, function, table: a.lookup(function, table),
    "cast": lambda a, *, quantizer: a.cast(quantizer),
    "zeros": lambda a, *, shape, like: a.zeros(*shape, like=like),
}


@dataclass(frozen=True)
class TracedNode:
    """One operation: its operands, attributes, and the shape and format of its result; a constant has its `value`.

    A "scan" over the time axis has the program of one step as its `body`; its results are "result" nodes.
    """

    op: str
    inputs: tuple[int, ...]
    attributes: Mapping[str, Any]
    shape: tuple[int, ...]
    format: QFormat
    name: str = ""
    value: FixedArray | None = None
    body: Program | None = None
    place: str = ""  # the path of the network part that it belongs to


@dataclass
class Program:
    """A network as a flat list of nodes; a value is identified by the index of its node."""

    nodes: list[TracedNode] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def __call__(self, *arguments: Any, watch: AccumulatorMonitor | None = None) -> tuple[Any, ...]:
        """Apply the program to numbers; returns its outputs.

        `watch` is called with the path and value of every node: the path is (node,), or (scan, t, node, ...) inside a
        loop.
        """
        values: list[Any] = []
        waiting = iter(arguments)
        for place, node in enumerate(self.nodes):
            values.append(self._value(place, node, values, waiting, watch))
            if watch is not None and node.op not in ("constant", "scan"):
                watch((place,), values[-1])
        return tuple(values[place] for place in self.outputs)

    def _value(
        self, place: int, node: TracedNode, values: list[Any], waiting: Any, watch: AccumulatorMonitor | None
    ) -> Any:
        operands = [values[i] for i in node.inputs]
        if node.op == "input":
            return next(waiting)
        if node.op == "constant":
            return node.value
        if node.op == "result":
            return operands[0][node.attributes["index"]]
        if node.op != "scan":
            return VERBS[node.op](*operands, **node.attributes)
        assert node.body is not None
        body, times = node.body, iter(range(operands[0].shape[1]))

        def step(*now: Any) -> tuple[Any, ...]:
            if watch is None:
                return body(*now)
            t = next(times)
            return body(*now, watch=lambda path, value: watch((place, t, *path), value))

        return operands[0].scan(step, *operands[1:])

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self, indent: str = "") -> list[str]:
        lines = []
        for place, node in enumerate(self.nodes):
            operands = ", ".join(f"%{i}" for i in node.inputs)
            details = ", ".join(
                f"{key}={value}" for key, value in node.attributes.items() if value is not None
            )
            text = ", ".join(part for part in (operands, details) if part)
            name = f"  # {node.name}" if node.name else ""
            lines.append(f"{indent}%{place} = {node.op}({text}): {node.shape} {node.format}{name}")
            if node.body is not None:
                lines += node.body._lines(indent + "    ")
        results = ", ".join(f"%{i}" for i in self.outputs)
        return [*lines, f"{indent}return {results}"]
