# SPDX-License-Identifier: MIT
"""The search for golden vectors: samples, and inputs that hit the remaining cover points of every layer.

First, inputs that hit the most cover points are picked from a pool of candidates (for a small network: all inputs).
Then each remaining cover point is approached by mutating the nearest inputs. Limits of a format that mutation does not
reach are approached along the gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np

from fixedpoint_nn.hardware.vectors.cover_points import Coverage, Key, coverage
from fixedpoint_nn.hardware.vectors.gradient import ascend
from fixedpoint_nn.hardware.vectors.stimuli import candidates, codes, every_input, mutated
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numerics.arrays import Ints

POOL_WORK = 200_000_000  # limit of intermediate values for evaluating the candidates
MUTATION_WORK = 1_000_000_000  # and for the mutated inputs
MOST = 2048  # candidates
CHILDREN, PARENTS = 32, 6  # per generation
ENDS = {"the largest": ("above", "exactly"), "the smallest": ("below", "exactly")}
PATIENCE = 8  # generations without progress before a cover point is given up


def golden(
    program: Program,
    samples: FixedArray,
    corner_vectors: int,
    seed: int,
    unreachable: Mapping[Key, str] | None = None,
) -> tuple[FixedArray, list[str]]:
    """(vectors, origin of each): the samples, and at most `corner_vectors` inputs that hit further cover points.

    Cover points in `unreachable` are not searched.
    """
    origins = ["sample"] * len(samples)
    if corner_vectors <= 0:
        return samples, origins
    search = _VectorSearch(program, samples, seed, set(unreachable or ()))
    search.choose(0)  # the lowest input everywhere
    while len(search.chosen) < corner_vectors and (best := search.best_candidate()) is not None:
        search.choose(best)
    search.mutate(corner_vectors)
    if search.ascend(corner_vectors):
        search.mutate(corner_vectors)  # from there
    for place in range(1, len(search.pool)):  # then the pool's next ones, if there is room
        if len(search.chosen) < corner_vectors:
            search.choose(place)
    picked = FixedArray.from_ints(np.array(search.chosen), samples.format)
    return samples.concat([picked], axis=0), origins + ["corner"] * len(search.chosen)


class _VectorSearch:
    """The pool of inputs with their coverage, the uncovered cover points, and the chosen vectors."""

    def __init__(self, program: Program, samples: FixedArray, seed: int, unreachable: set[Key]) -> None:
        self.program, self.samples, self.rng = program, samples, np.random.default_rng(seed)
        self.allowed = codes(program, samples)
        self.work = _work(program)
        size = int(np.clip(POOL_WORK // self.work, CHILDREN, MOST))
        every = every_input(program, samples)
        if every is None:
            self.pool = candidates(program, samples, size, self.rng).ints
        else:
            mixed = np.concatenate([every[:1], self.rng.permutation(every[1:])])
            self.pool = mixed.reshape(-1, *samples.shape[1:])
        self.coverage = coverage(program, self._numbers(self.pool))
        sampled = coverage(program, samples)
        self.uncovered = {key for key, found in sampled.items() if not found.hits.any()} - unreachable
        self.chosen: list[Ints] = []

    def _numbers(self, ints: Ints) -> FixedArray:
        return FixedArray.from_ints(ints, self.samples.format)

    def choose(self, place: int) -> None:
        """Choose input `place` of the pool as a vector."""
        self.chosen.append(self.pool[place])
        self.uncovered -= {key for key in self.uncovered if self.coverage[key].hits[place]}

    def best_candidate(self) -> int | None:
        """The index of the input that hits the most uncovered cover points; None if there is none."""
        gain = np.zeros(len(self.pool), np.int64)
        for key in self.uncovered:
            gain += self.coverage[key].hits > 0
        best = int(gain.argmax())
        return best if gain[best] else None

    def mutate(self, most: int) -> None:
        """Approach each uncovered cover point, in program order, by mutating the nearest inputs."""
        generations = MUTATION_WORK // (self.work * CHILDREN)
        for key in self.coverage:
            patience, nearest_so_far = PATIENCE, int(self.coverage[key].distance.min())
            while key in self.uncovered and patience and generations and len(self.chosen) < most:
                generations -= 1
                nearest = np.argsort(self.coverage[key].distance, kind="stable")[:PARENTS]
                self._grow(nearest)
                if (best := self.best_candidate()) is not None:
                    self.choose(best)
                now = int(self.coverage[key].distance.min())
                if now < nearest_so_far:
                    patience, nearest_so_far = PATIENCE, now
                else:
                    patience -= 1

    def ascend(self, most: int) -> bool:
        """Approach the uncovered limits of formats along the gradient; returns whether there are new inputs."""
        before, layers = len(self.pool), dict.fromkeys(layer for layer, _ in self.coverage)
        for layer, (end, ways) in product(layers, ENDS.items()):
            wanted = {(layer, f"{way} {end}") for way in ways}
            if not wanted & self.uncovered or len(self.chosen) >= most:
                continue
            for found in ascend(self.program, layer, self.samples, end == "the largest", self.rng):
                self._join(found)
                while len(self.chosen) < most and (best := self.best_candidate()) is not None:
                    self.choose(best)
                if not wanted & self.uncovered or len(self.chosen) >= most:
                    break
        return len(self.pool) > before

    def _grow(self, parents: Ints) -> None:
        """Add mutated children of these inputs to the pool."""
        shape = self.samples.shape[1:]
        self._join(mutated(self.pool[parents], CHILDREN, self.allowed, shape, self.rng))

    def _join(self, children: Ints) -> None:
        found = coverage(self.program, self._numbers(children))
        self.pool = np.concatenate([self.pool, children])
        self.coverage = {
            key: Coverage(
                np.concatenate([before.hits, found[key].hits]),
                np.concatenate([before.distance, found[key].distance]),
            )
            for key, before in self.coverage.items()
        }


def _work(program: Program) -> int:
    """The number of intermediate values of the program for one sample."""
    own = sum(int(np.prod(node.shape, dtype=np.int64)) for node in program.nodes if node.value is None)
    loops = (node for node in program.nodes if node.body is not None)
    return own + sum(node.shape[1] * _work(node.body) for node in loops if node.body is not None)
