# SPDX-License-Identifier: MIT
"""Candidate inputs for the search of golden vectors, reproducible from a seed."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numerics.arrays import Ints

FEW_INPUTS = 1 << 16


def reads_tokens(program: Program) -> bool:
    """Whether the inputs are token ids, which address the rows of an embedding."""
    return any(node.op == "take" for node in program.nodes)


def every_input(program: Program, samples: FixedArray) -> Ints | None:
    """All possible inputs, (inputs, elements), if there are at most FEW_INPUTS; else None."""
    allowed, size = codes(program, samples), int(np.prod(samples.shape[1:]))
    if size > 16 or len(allowed) ** size > FEW_INPUTS:
        return None
    return np.array(list(product(allowed, repeat=size)), np.int64)


def codes(program: Program, samples: FixedArray) -> range:
    """The possible integers of an input element: all of its format, or the valid token ids."""
    format = samples.format
    if reads_tokens(program):
        tables = [program.nodes[node.inputs[0]].shape[0] for node in program.nodes if node.op == "take"]
        return range(min(*tables, format.int_max + 1))
    return range(format.int_min, format.int_max + 1)


def candidates(program: Program, samples: FixedArray, count: int, rng: np.random.Generator) -> FixedArray:
    """`count` candidates: extremes, uniform random inputs, samples scaled, negated and with noise.

    Some drive one channel of the first layer to its limit. For tokens: every token at every position, and random ones.
    """
    shape, format = samples.shape[1:], samples.format
    lo, hi = format.int_min, format.int_max
    if reads_tokens(program):
        tokens = len(codes(program, samples))
        ids = rng.integers(0, tokens, (count, *shape))
        every = (np.arange(count)[:, None] + np.arange(int(np.prod(shape)))).reshape(count, *shape) % tokens
        ids[: tokens + 2] = np.concatenate([np.full((2, *shape), 0), every])[: len(ids[: tokens + 2])]
        ids[1] = tokens - 1
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
        else:  # a sample with a few elements replaced
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


def mutated(
    parents: Ints, count: int, allowed: range, shape: tuple[int, ...], rng: np.random.Generator
) -> Ints:
    """(count, *shape) inputs made by changing a part of each parent; the integers are in `allowed`."""
    lo, hi = allowed[0], allowed[-1]
    children = parents[rng.integers(0, len(parents), count)].reshape(count, *shape)
    for child in children:
        kind = int(rng.integers(0, 5))
        if kind == 0:  # some elements at random
            flat, places = (
                child.reshape(-1),
                rng.integers(0, child.size, int(rng.integers(1, 2 + child.size // 16))),
            )
            flat[places] = rng.integers(lo, hi + 1, len(places))
            continue
        block = tuple(slice(*sorted(rng.integers(0, size + 1, 2))) for size in shape)
        part = child[block]
        if kind == 1:
            part[...] = rng.choice([lo, hi, int(rng.integers(lo, hi + 1))])
        elif kind == 2:
            part[...] = np.clip(part + int(rng.integers(lo - hi, hi - lo + 1)) // 4, lo, hi)
        elif kind == 3:
            part[...] = rng.integers(lo, hi + 1, part.shape)
        else:  # from another parent
            part[...] = parents[rng.integers(0, len(parents))].reshape(shape)[block]
    return children
