# SPDX-License-Identifier: MIT
"""Cover points: the corner cases of each layer's arithmetic, and how often samples hit them.

They are both saturation limits, exact rounding ties (above an even and an odd floor, of both signs), the product of two
most negative numbers, and both ends of a table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program, TracedNode
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.quantizer import Quantizer

Key = tuple[str, str]  # (layer, cover point)
AT_ONCE = 16  # samples, so that intermediate values stay in the cache
FAR = 1 << 62  # distance of an element without the cover point's sign or parity


@dataclass(frozen=True)
class Coverage:
    """For each sample, (samples,): hits of one cover point, and the distance of the nearest value in steps."""

    hits: Ints
    distance: Ints

    def joined(self, other: Coverage) -> Coverage:
        """Merged with the coverage by another node or time step of the same layer."""
        return Coverage(self.hits + other.hits, np.minimum(self.distance, other.distance))


def _coverage(distance: Any) -> Coverage:
    """The coverage from the distance of each element, (samples, ...); 0 is a hit."""
    flat = np.asarray(distance).reshape(len(distance), -1)
    return Coverage((flat == 0).sum(axis=1), flat.min(axis=1, initial=FAR))


def _cast_points(value: FixedArray, quantizer: Quantizer, negative: bool) -> Iterator[tuple[str, Coverage]]:
    """The cover points of a cast: ties, overflows, and the ends of its format."""
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
                yield (
                    f"tie, {sign}, {parity} floor",
                    _coverage(np.where(side & ((floor & 1) == odd), to_tie, FAR)),
                )
    else:
        floor = ints << -shift if -30 < shift <= 0 else ints >> min(shift, 62)
    yield "above the largest", _coverage(np.maximum(f.int_max + 1 - floor, 0))
    if negative:
        yield "below the smallest", _coverage(np.maximum(floor - f.int_min + 1, 0))
    yield "exactly the largest", _coverage(np.abs(floor - f.int_max))
    yield "exactly the smallest", _coverage(np.abs(floor - f.int_min))


def _points_of(
    node: TracedNode, values: dict[int, FixedArray], program: Program
) -> Iterator[tuple[str, Coverage]]:
    if node.op == "cast" and isinstance(node.attributes["quantizer"], Quantizer):
        negative = may_be_negative(program, node)
        yield from _cast_points(values[node.inputs[0]], node.attributes["quantizer"], negative)
    elif node.op == "lookup":
        x = values[node.inputs[0]]
        yield "first entry of the table", _coverage(x.ints - x.format.int_min)
        yield "last entry of the table", _coverage(x.format.int_max - x.ints)
    elif node.op == "dot" and (lowest := lowest_weights(program, node)) is not None:
        x = values[node.inputs[0]]
        yield "most negative times most negative", _coverage(np.where(lowest, x.ints - x.format.int_min, FAR))


def may_be_negative(program: Program, cast: TracedNode) -> bool:
    """Whether the operand of a cast can be negative, by its format and by a ReLU before it."""
    source = program.nodes[cast.inputs[0]]
    return source.op != "relu" and source.format.int_min < 0


def lowest_weights(program: Program, dot: TracedNode) -> NDArray[np.bool_] | None:
    """True for each input of a product that meets a most negative weight, (inputs,); None if that is impossible."""
    weights = program.nodes[dot.inputs[1]].value
    signed = program.nodes[dot.inputs[0]].format.signed
    if weights is None or not signed or not weights.format.signed or weights.ndim != 2:
        return None
    return np.asarray((weights.ints == weights.format.int_min).any(axis=-1))


class _Counter:
    """An observer of a running program that counts hits of cover points."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.coverage: dict[Key, Coverage] = {}
        self.values: dict[tuple[int, ...], dict[int, FixedArray]] = defaultdict(dict)

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
        for point, found in _points_of(node, before, program):
            key = (layer_of(program, path[-1]), point)
            self.coverage[key] = self.coverage[key].joined(found) if key in self.coverage else found


def layer_of(program: Program, place: int) -> str:
    """The name of the layer of a node: the name of the next named cast."""
    for node in program.nodes[place:]:
        if node.name:
            return node.name
    return next((node.name for node in program.nodes[place::-1] if node.name), "output")


def coverage(program: Program, inputs: FixedArray) -> dict[Key, Coverage]:
    """The coverage of every cover point of every layer by `inputs` (samples, ...)."""
    parts: list[dict[Key, Coverage]] = []
    for start in range(0, len(inputs), AT_ONCE):
        counter = _Counter(program)
        program(inputs[start : start + AT_ONCE], watch=counter)
        parts.append(counter.coverage)
    return {
        key: Coverage(
            np.concatenate([part[key].hits for part in parts]),
            np.concatenate([part[key].distance for part in parts]),
        )
        for key in parts[0]
    }


def count(
    program: Program, vectors: FixedArray, unreachable: Mapping[Key, str] | None = None
) -> dict[str, Any]:
    """Hits by layer and cover point over all vectors; for an unreachable cover point, the reason instead."""
    counted: dict[str, dict[str, int | str]] = defaultdict(dict)
    for (layer, point), found in coverage(program, vectors).items():
        reason = (unreachable or {}).get((layer, point))
        hits = int(found.hits.sum())
        if reason is not None and hits:
            raise RuntimeError(f"{layer}: {point!r} is hit {hits} times, although it is said to be {reason}")
        counted[layer][point] = hits if reason is None else reason
    return dict(counted)
