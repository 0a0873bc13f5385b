# SPDX-License-Identifier: MIT
"""Golden vectors: real samples, and inputs that are searched until every layer has met its corners.

A corner is what an engine gets wrong first: both saturation edges, exact rounding ties (above an even and
above an odd floor, of both signs), the product of two most negative numbers, both ends of a table.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.fixed import FixedArray
from fixedpoint_nn.program import Node, Program
from fixedpoint_nn.quantizer import Quantizer

Hits = dict[tuple[str, str], NDArray[np.int64]]  # (layer, corner): hits of each sample
POOL_WORK = 60_000_000  # values that may flow in the search
MOST = 2048  # inputs that are tried


def _per_sample(found: Any) -> NDArray[np.int64]:
    result: NDArray[np.int64] = np.asarray(found).reshape(len(found), -1).sum(axis=1)
    return result


def _cast_corners(
    value: FixedArray, quantizer: Quantizer, negative: bool
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    f, ints = quantizer.format, value.ints
    shift = value.format.frac_bits - f.frac_bits
    if 0 < shift < 62:
        floor, rest = ints >> shift, ints & ((1 << shift) - 1)
        tie = rest == 1 << (shift - 1)
        sides = {"negative": ints < 0, "positive": ints >= 0}
        for sign, side in sides.items():
            if sign == "negative" and not negative:
                continue
            for parity, odd in (("odd", 1), ("even", 0)):
                yield f"tie, {sign}, {parity} floor", _per_sample(tie & side & ((floor & 1) == odd))
    else:
        floor = ints << -shift if -30 < shift <= 0 else ints >> min(shift, 62)
    yield "above the largest", _per_sample(floor > f.int_max)
    if negative:
        yield "below the smallest", _per_sample(floor < f.int_min)
    yield "exactly the largest", _per_sample(floor == f.int_max)
    yield "exactly the smallest", _per_sample(floor == f.int_min)


def _corners_of(
    node: Node, values: dict[int, Any], program: Program
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    if node.op == "cast" and isinstance(node.attributes["quantizer"], Quantizer):
        source = program.nodes[node.inputs[0]]
        negative = source.op != "relu" and source.format.int_min < 0
        yield from _cast_corners(values[node.inputs[0]], node.attributes["quantizer"], negative)
    elif node.op == "lookup":
        x = values[node.inputs[0]]
        yield "first entry of the table", _per_sample(x.ints == x.format.int_min)
        yield "last entry of the table", _per_sample(x.ints == x.format.int_max)
    elif node.op == "dot" and program.nodes[node.inputs[1]].value is not None:
        x, w = values[node.inputs[0]], program.nodes[node.inputs[1]].value
        assert w is not None
        if x.format.signed and w.format.signed and w.ndim == 2:
            lowest = (w.ints == w.format.int_min).any(axis=-1)
            yield "most negative times most negative", _per_sample((x.ints == x.format.int_min) & lowest)


class _Seen:
    """Watches a program and counts."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.hits: Hits = {}
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
            key = (_name(program, path[-1]), corner)
            self.hits[key] = self.hits[key] + found if key in self.hits else found
        if node.op in ("cast", "lookup", "dot") and len(path) > 1:
            return


def _name(program: Program, place: int) -> str:
    """The label of the cast that ends what this node begins."""
    for node in program.nodes[place:]:
        if node.name:
            return node.name
    return next((node.name for node in program.nodes[place::-1] if node.name), "output")


def hits(program: Program, inputs: FixedArray) -> Hits:
    """How often each sample meets each corner in each layer."""
    seen = _Seen(program)
    program(inputs, watch=seen)
    return seen.hits


def count(program: Program, vectors: FixedArray) -> dict[str, dict[str, int]]:
    """Hits by layer and corner, over all vectors; a corner that the layer cannot or does not meet has 0."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for start in range(0, len(vectors), 16):
        for (layer, corner), found in hits(program, vectors[start : start + 16]).items():
            counted[layer][corner] += int(found.sum())
    return {layer: dict(corners) for layer, corners in counted.items()}


def codes(program: Program, samples: FixedArray) -> range:
    """The integers that an element of an input may be: all of its format, or the tokens that there are."""
    format = samples.format
    vocabulary = [program.nodes[node.inputs[0]].shape[0] for node in program.nodes if node.op == "take"]
    if vocabulary:
        return range(min(*vocabulary, format.int_max + 1))
    return range(format.int_min, format.int_max + 1)


def candidates(program: Program, samples: FixedArray, count: int, rng: np.random.Generator) -> FixedArray:
    """Inputs worth trying: extremes, full-range random ones, the samples blown up, mirrored and disturbed.

    Some drive one channel of the first layer to its edge.
    """
    shape, format = samples.shape[1:], samples.format
    lo, hi = format.int_min, format.int_max
    vocabulary = [program.nodes[node.inputs[0]].shape[0] for node in program.nodes if node.op == "take"]
    if vocabulary:
        ids = rng.integers(0, min(min(vocabulary), hi + 1), (count, *shape))
        ids[0], ids[1] = 0, min(min(vocabulary) - 1, hi)
        return FixedArray.from_ints(ids, format)
    weights = _first_weights(program, int(np.prod(shape)))
    pool = samples.ints[rng.integers(0, len(samples), count)]
    for number, base in enumerate(pool):
        kind = number % 8
        if number <= 1:
            pool[number] = (lo, hi)[number]
        elif kind == 0:
            pool[number] = rng.integers(lo, hi + 1, shape)
        elif kind == 1:
            pool[number] = rng.choice([lo, hi], shape)
        elif kind == 2:
            pool[number] = np.clip(base * rng.integers(2, 9), lo, hi)
        elif kind == 3:
            pool[number] = np.clip(-base * rng.integers(1, 9), lo, hi)
        elif kind == 4:
            pool[number] = np.clip(base + rng.integers(-(hi // 8) - 1, hi // 8 + 2, shape), lo, hi)
        elif kind == 5 and weights is not None:
            column = weights[:, rng.integers(weights.shape[1])] * rng.choice([-1, 1])
            pool[number] = np.where(column > 0, hi, lo).reshape(shape)
        else:  # a few elements of a real sample are others
            places = rng.integers(0, base.size, 1 + base.size // 64)
            pool[number].reshape(-1)[places] = rng.integers(lo, hi + 1, len(places))
    return FixedArray.from_ints(pool, format)


def _first_weights(program: Program, size: int) -> NDArray[np.int64] | None:
    """The weights of the first dense layer, if it reads the whole input."""
    first = next((node for node in program.nodes if node.op == "dot"), None)
    if first is None:
        return None
    weights = program.nodes[first.inputs[1]].value
    return None if weights is None or weights.shape[0] != size or weights.ndim != 2 else weights.ints


def golden(
    program: Program, samples: FixedArray, corner_vectors: int, seed: int
) -> tuple[FixedArray, list[str]]:
    """The samples and the corner vectors that meet the most corners not yet met; where each comes from."""
    origins = ["sample"] * len(samples)
    if corner_vectors <= 0:
        return samples, origins
    rng = np.random.default_rng(seed)
    flowing = [node for node in program.nodes if node.value is None]
    work = sum(int(np.prod(node.shape, dtype=np.int64)) * _steps(program, node) for node in flowing)
    size = int(np.clip(POOL_WORK // work, corner_vectors, MOST))
    pool = candidates(program, samples, size, rng)
    met = {
        key
        for start in range(0, len(samples), 16)
        for key, found in hits(program, samples[start : start + 16]).items()
        if found.any()
    }
    table: dict[tuple[str, str], list[NDArray[np.int64]]] = defaultdict(list)
    for start in range(0, size, 16):
        for key, found in hits(program, pool[start : start + 16]).items():
            table[key].append(found)
    reached = {key: np.concatenate(found) > 0 for key, found in table.items()}
    chosen = [0]  # the lowest input everywhere, then whatever is new the most
    met |= {key for key, where in reached.items() if where[0]}
    while len(chosen) < min(corner_vectors, size):
        gain = np.zeros(size, np.int64)
        for key, where in reached.items():
            if key not in met:
                gain += where
        gain[chosen] = -1
        best = int(gain.argmax())
        chosen.append(best)
        met |= {key for key, where in reached.items() if where[best]}
    picked = FixedArray.from_ints(pool.ints[chosen], samples.format)
    return samples.concat([picked], axis=0), origins + ["corner"] * len(chosen)


def _steps(program: Program, node: Node) -> int:
    return 1 if node.body is None else program.nodes[node.inputs[0]].shape[1] * len(node.body.nodes)
