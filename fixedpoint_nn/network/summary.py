# SPDX-License-Identifier: MIT
"""Quantised networks as a table: layers, formats, parameters and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import prod
from typing import Any

from fixedpoint_nn.layers.fields import CAST, PARAMETER, TABLE
from fixedpoint_nn.network.tree import layers_by_path
from fixedpoint_nn.numbers.traced.program import Program, TracedNode
from fixedpoint_nn.numbers.traced.traced import Traced
from fixedpoint_nn.numerics.qformat import QFormat

Shape = tuple[int, ...]
HEADINGS = ("layer", "kind", "parameters in", "values in", "parameters", "multiply-accumulates")
LEFT = 4  # the number of left-aligned text columns


@dataclass(frozen=True)
class Row:
    """One line: a layer, the formats of its weights and values, and its counts."""

    path: str
    kind: str
    weights: str
    values: str
    parameters: int
    multiply_accumulates: int | None

    def cells(self) -> tuple[str, ...]:
        """The text of each column."""
        size = f"{self.parameters:,}" if self.parameters else ""
        unknown = "?" if self.parameters else ""
        macs = unknown if self.multiply_accumulates is None else f"{self.multiply_accumulates:,}"
        macs = "" if macs == "0" else macs
        return self.path, self.kind, self.weights, self.values, size, macs


def rows(net: Any, input: QFormat, shape: Shape | None) -> list[Row]:
    """One row per layer; a container has one only if it holds numbers or formats itself."""
    macs = None if shape is None else multiply_accumulates(net, input, shape)
    found = []
    for path, layer in layers_by_path(net):
        own = [
            (field.metadata.get("kind"), getattr(layer, field.name), field.name) for field in fields(layer)
        ]
        numbers = [value for kind, value, _ in own if kind == PARAMETER and value is not None]
        rounded = any(kind == CAST and value is not None for kind, value, _ in own)
        if _holds_layers(layer) and not numbers and not rounded:
            continue  # its layers have their own rows
        found.append(
            Row(
                path,
                type(layer).__name__,
                _listed(str(number.format) for number in numbers),
                _listed(_values(own)),
                sum(prod(number.shape) for number in numbers),
                None if macs is None else sum(macs.get(id(number), 0) for number in numbers),
            )
        )
    return found


def multiply_accumulates(net: Any, input: QFormat, shape: Shape) -> dict[int, int]:
    """The number of products of each parameter for one sample of this shape, keyed by the parameter's `id`."""
    program = Program()
    net(Traced.argument(program, (1, *shape), input))
    found: dict[int, int] = {}
    _count(program, 1, found)
    return found


def _count(program: Program, times: int, found: dict[int, int]) -> None:
    for node in program.nodes:
        if node.body is not None:
            steps = program.nodes[node.inputs[0]].shape[1]
            _count(node.body, times * steps, found)
        elif node.op in ("dot", "mul"):
            factors = [program.nodes[place] for place in node.inputs[:2]]
            for factor in factors:
                if factor.value is not None:
                    found[id(factor.value)] = found.get(id(factor.value), 0) + times * _products(node, factor)


def _products(node: TracedNode, factor: TracedNode) -> int:
    terms = factor.shape[-2] if node.op == "dot" and len(factor.shape) > 1 else 1
    return prod(node.shape) * terms


def _holds_layers(layer: Any) -> bool:
    return len(list(layers_by_path(layer))) > 1


def _values(own: list[tuple[Any, Any, str]]) -> Iterator[str]:
    for kind, value, name in own:
        if value is not None and kind in (CAST, TABLE):
            format = value.output.format if kind == TABLE else value.format
            yield str(format) if name == "out" else f"{name} {format}"


def _listed(parts: Any) -> str:
    return ", ".join(dict.fromkeys(parts))


def table(net: Any, input: QFormat, shape: Shape | None) -> str:
    """The table as text, with totals in the last line."""
    found = rows(net, input, shape)
    total = Row(
        "",
        "in all",
        "",
        "",
        sum(row.parameters for row in found),
        None if shape is None else sum(row.multiply_accumulates or 0 for row in found),
    )
    source = ("input", "" if shape is None else str(shape), "", str(input), "", "")
    lines = [HEADINGS, source, *(row.cells() for row in found), total.cells()]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = [
        "  ".join(
            cell.ljust(width) if column < LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    if shape is None:
        text.append(
            "multiply-accumulates need the shape of a sample, without the batch: summary((28, 28, 1))"
        )
    return "\n".join(text)
