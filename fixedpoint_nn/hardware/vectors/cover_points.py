# SPDX-License-Identifier: MIT
"""Corners: what an engine gets wrong first, and how often samples meet them in each layer.

Both saturation edges, exact rounding ties (above an even and above an odd floor, of both signs), the product
of two most negative numbers, both ends of a table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Node, Program
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.quantizer import Quantizer

Key = tuple[str, str]  # (layer, corner)
AT_ONCE = 16  # samples; what flows through the program then stays in the cache
FAR = 1 << 62  # from a corner, where no element is of its sign or parity


@dataclass(frozen=True)
class Coverage:
    """How often each sample meets a corner, and how far its nearest value is from it, in steps."""

    hits: Ints
    distance: Ints

    def joined(self, other: Coverage) -> Coverage:
        """Of another place, or step in time, under the same name."""
        return Coverage(self.hits + other.hits, np.minimum(self.distance, other.distance))


def _met(distance: Any) -> Coverage:
    """From each element's distance; 0 is a hit."""
    flat = np.asarray(distance).reshape(len(distance), -1)
    return Coverage((flat == 0).sum(axis=1), flat.min(axis=1, initial=FAR))


def _cast_corners(value: FixedArray, quantizer: Quantizer, negative: bool) -> Iterator[tuple[str, Coverage]]:
    f, ints = quantizer.format, value.ints
    shift = value.format.frac_bits - f.frac_bits
    if 0 < shift < 62:
        floor = ints >> shift
        to_tie = np.abs((ints & ((1 << shift) - 1)) - (1 << (shift - 1)))
        sides = {"negative": ints < 0, "positive": ints >= 0}
        for sign, side in sides.items():
            if sign == "negative" and not negative:
                continue
            for parity, odd in (("odd", 1), ("even", 0)):
                yield f"tie, {sign}, {parity} floor", _met(np.where(side & ((floor & 1) == odd), to_tie, FAR))
    else:
        floor = ints << -shift if -30 < shift <= 0 else ints >> min(shift, 62)
    yield "above the largest", _met(np.maximum(f.int_max + 1 - floor, 0))
    if negative:
        yield "below the smallest", _met(np.maximum(floor - f.int_min + 1, 0))
    yield "exactly the largest", _met(np.abs(floor - f.int_max))
    yield "exactly the smallest", _met(np.abs(floor - f.int_min))


def _corners_of(node: Node, values: dict[int, Any], program: Program) -> Iterator[tuple[str, Coverage]]:
    if node.op == "cast" and isinstance(node.attributes["quantizer"], Quantizer):
        negative = may_be_negative(program, node)
        yield from _cast_corners(values[node.inputs[0]], node.attributes["quantizer"], negative)
    elif node.op == "lookup":
        x = values[node.inputs[0]]
        yield "first entry of the table", _met(x.ints - x.format.int_min)
        yield "last entry of the table", _met(x.format.int_max - x.ints)
    elif node.op == "dot" and (lowest := lowest_weights(program, node)) is not None:
        x = values[node.inputs[0]]
        yield "most negative times most negative", _met(np.where(lowest, x.ints - x.format.int_min, FAR))


def may_be_negative(program: Program, cast: Node) -> bool:
    """Has what is cast a negative half?"""
    source = program.nodes[cast.inputs[0]]
    return source.op != "relu" and source.format.int_min < 0


def lowest_weights(program: Program, dot: Node) -> NDArray[np.bool_] | None:
    """Which inputs of a product meet a most negative weight; None if its operands have no such words."""
    weights = program.nodes[dot.inputs[1]].value
    signed = program.nodes[dot.inputs[0]].format.signed
    if weights is None or not signed or not weights.format.signed or weights.ndim != 2:
        return None
    return np.asarray((weights.ints == weights.format.int_min).any(axis=-1))


class _Seen:
    """Watches a program and counts."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.met: dict[Key, Coverage] = {}
        self.values: dict[tuple[int, ...], dict[int, Any]] = defaultdict(dict)

    def __call__(self, path: tuple[int, ...], value: FixedArray) -> None:
        program = self.program
        for place in path[:-1:2]:
            body = program.nodes[place].body
            assert body is not None
            program = body
        before = self.values[path[:-1]]
        if path[-1] == 0:
            before.clear()
        before[path[-1]] = value
        node = program.nodes[path[-1]]
        if not all(i in before or program.nodes[i].value is not None for i in node.inputs):
            return
        for corner, found in _corners_of(node, before, program):
            key = (layer_of(program, path[-1]), corner)
            self.met[key] = self.met[key].joined(found) if key in self.met else found


def layer_of(program: Program, place: int) -> str:
    """The label of the cast that ends what this node begins."""
    for node in program.nodes[place:]:
        if node.name:
            return node.name
    return next((node.name for node in program.nodes[place::-1] if node.name), "output")


def meet(program: Program, inputs: FixedArray) -> dict[Key, Coverage]:
    """How each sample meets each corner in each layer."""
    parts: list[dict[Key, Coverage]] = []
    for start in range(0, len(inputs), AT_ONCE):
        seen = _Seen(program)
        program(inputs[start : start + AT_ONCE], watch=seen)
        parts.append(seen.met)
    return {
        key: Coverage(
            np.concatenate([part[key].hits for part in parts]),
            np.concatenate([part[key].distance for part in parts]),
        )
        for key in parts[0]
    }


def count(program: Program, vectors: FixedArray, beyond: Mapping[Key, str] | None = None) -> dict[str, Any]:
    """Hits by layer and corner, over all vectors; of one that is `beyond` reach, the reason."""
    counted: dict[str, dict[str, int | str]] = defaultdict(dict)
    for (layer, corner), met in meet(program, vectors).items():
        reason = (beyond or {}).get((layer, corner))
        hits = int(met.hits.sum())
        if reason is not None and hits:
            raise RuntimeError(f"{layer}: {corner!r} is met {hits} times, and said to be {reason}")
        counted[layer][corner] = hits if reason is None else reason
    return dict(counted)
