# SPDX-License-Identifier: MIT
"""Golden vectors: real samples, and inputs that are searched until every layer has met its corners.

First come those of a pool of candidates (of a small network: of all inputs) that meet the most corners. Then
each corner that is left is climbed to: the inputs that come nearest to it are changed again and again. To the ends of
a format that no change has reached the gradient leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np

from fixedpoint_nn.hardware.vectors.cover_points import Coverage, Key, meet
from fixedpoint_nn.hardware.vectors.gradient import ascend
from fixedpoint_nn.hardware.vectors.stimuli import candidates, codes, every_input, mutated
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numerics.arrays import Ints

POOL_WORK = 200_000_000  # values that may flow through the candidates
CLIMB_WORK = 1_000_000_000  # and through those that are climbed to
MOST = 2048  # candidates
FAMILY, PARENTS = 32, 6  # children of so many parents are tried at once
ENDS = {"the largest": ("above", "exactly"), "the smallest": ("below", "exactly")}
PATIENCE = 8  # generations without a step forward before a corner is given up


def golden(
    program: Program,
    samples: FixedArray,
    corner_vectors: int,
    seed: int,
    beyond: Mapping[Key, str] | None = None,
) -> tuple[FixedArray, list[str]]:
    """The samples and at most so many vectors that meet corners that were not met; where each comes from.

    Corners that are `beyond` reach are not searched.
    """
    origins = ["sample"] * len(samples)
    if corner_vectors <= 0:
        return samples, origins
    search = _Search(program, samples, seed, set(beyond or ()))
    search.choose(0)  # the lowest input everywhere
    while len(search.chosen) < corner_vectors and (best := search.richest()) is not None:
        search.choose(best)
    search.climb(corner_vectors)
    if search.ascend(corner_vectors):
        search.climb(corner_vectors)  # from there
    for place in range(1, len(search.pool)):  # and if there is room, the pool's next ones
        if len(search.chosen) < corner_vectors:
            search.choose(place)
    picked = FixedArray.from_ints(np.array(search.chosen), samples.format)
    return samples.concat([picked], axis=0), origins + ["corner"] * len(search.chosen)


class _Search:
    """The pool, what its inputs meet, and what has been chosen."""

    def __init__(self, program: Program, samples: FixedArray, seed: int, beyond: set[Key]) -> None:
        self.program, self.samples, self.rng = program, samples, np.random.default_rng(seed)
        self.allowed = codes(program, samples)
        self.work = _work(program)
        size = int(np.clip(POOL_WORK // self.work, FAMILY, MOST))
        every = every_input(program, samples)
        if every is None:
            self.pool = candidates(program, samples, size, self.rng).ints
        else:
            mixed = np.concatenate([every[:1], self.rng.permutation(every[1:])])
            self.pool = mixed.reshape(-1, *samples.shape[1:])
        self.met = meet(program, self._numbers(self.pool))
        before = meet(program, samples)
        self.open = {key for key, met in before.items() if not met.hits.any()} - beyond
        self.chosen: list[Ints] = []

    def _numbers(self, ints: Ints) -> FixedArray:
        return FixedArray.from_ints(ints, self.samples.format)

    def choose(self, place: int) -> None:
        self.chosen.append(self.pool[place])
        self.open -= {key for key in self.open if self.met[key].hits[place]}

    def richest(self) -> int | None:
        """The input of the pool that meets the most corners that are open."""
        gain = np.zeros(len(self.pool), np.int64)
        for key in self.open:
            gain += self.met[key].hits > 0
        best = int(gain.argmax())
        return best if gain[best] else None

    def climb(self, most: int) -> None:
        """Look for the corners that no candidate meets, one after the other, in the program's order."""
        families = CLIMB_WORK // (self.work * FAMILY)
        for key in self.met:
            left, near = PATIENCE, int(self.met[key].distance.min())
            while key in self.open and left and families and len(self.chosen) < most:
                families -= 1
                nearest = np.argsort(self.met[key].distance, kind="stable")[:PARENTS]
                self._grow(nearest)
                if (best := self.richest()) is not None:
                    self.choose(best)
                now = int(self.met[key].distance.min())
                left, near = (PATIENCE, now) if now < near else (left - 1, near)

    def ascend(self, most: int) -> bool:
        """Look for the ends of formats that are left, along the gradient; has that brought new inputs?"""
        before, layers = len(self.pool), dict.fromkeys(layer for layer, _ in self.met)
        for layer, (end, ways) in product(layers, ENDS.items()):
            wanted = {(layer, f"{way} {end}") for way in ways}
            if not wanted & self.open or len(self.chosen) >= most:
                continue
            for found in ascend(self.program, layer, self.samples, end == "the largest", self.rng):
                self._join(found)
                while len(self.chosen) < most and (best := self.richest()) is not None:
                    self.choose(best)
                if not wanted & self.open or len(self.chosen) >= most:
                    break
        return len(self.pool) > before

    def _grow(self, parents: Ints) -> None:
        """Children of some inputs come into the pool."""
        shape = self.samples.shape[1:]
        self._join(mutated(self.pool[parents], FAMILY, self.allowed, shape, self.rng))

    def _join(self, children: Ints) -> None:
        found = meet(self.program, self._numbers(children))
        self.pool = np.concatenate([self.pool, children])
        self.met = {
            key: Coverage(
                np.concatenate([met.hits, found[key].hits]),
                np.concatenate([met.distance, found[key].distance]),
            )
            for key, met in self.met.items()
        }


def _work(program: Program) -> int:
    """How many values one sample makes."""
    own = sum(int(np.prod(node.shape, dtype=np.int64)) for node in program.nodes if node.value is None)
    loops = (node for node in program.nodes if node.body is not None)
    return own + sum(node.shape[1] * _work(node.body) for node in loops if node.body is not None)
