# SPDX-License-Identifier: MIT
"""Inputs that bring many sums of a run next to where they round.

There the lowest bit of a weight decides. The sums of some channels are equations for the words that are read: these are
solved within what is allowed near drawn words, made integers block by block while the others make up for it, and
then changed word by word as long as the sums come nearer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.faults.replay import Lean
from fixedpoint_nn.numerics.arrays import Ints

Floats = NDArray[np.float64]
MOST = 160  # channels at once
BLOCKS = (0.5, 0.75, 0.88, 0.94, 0.97, 1.0)  # how much of the words is integers after each
TURNS, STEPS, TRIES = 40, 300, 3
NEAR = 0.03  # of the distance between two words


@dataclass(frozen=True)
class Edges:
    """A run of one pixel that sums products and floors, and the lowest and highest word that each tap may read."""

    lean: Lean
    low: Floats
    high: Floats

    def draw(self, count: int, wanted: Floats, rng: np.random.Generator) -> Ints:
        """So many inputs, tap by tap; channels are drawn in proportion to how much they are `wanted`."""
        rows = []
        for _ in range(count):
            tries = [self._one(wanted, rng) for _ in range(TRIES)]
            rows.append(max(tries, key=lambda one: one[0])[1])
        return np.array(rows)

    def _one(self, wanted: Floats, rng: np.random.Generator) -> tuple[int, Ints]:
        """Words, and how good they are: how many sums they bring near an edge, times how many are not small."""
        low, high = self.low, self.high
        open = np.flatnonzero(wanted)
        most = max(1, min(MOST, len(open), int((low < high).sum()) // 4))
        count = int(rng.integers(1 + most // 3, most + 1))
        channels = rng.choice(open, count, replace=False, p=wanted[open] / wanted[open].sum())
        matrix = self.lean.columns[np.float64][channels]
        shift, bias = self.lean.parameters[channels].T
        step = np.exp2(shift)
        begin = low + (high - low) * rng.uniform(0, 0.6)
        words = rng.uniform(begin, high + 1e-9) if rng.random() < 0.7 else rng.uniform(low, high + 1e-9)
        # Just below or above the nearest edge.
        word = np.rint((matrix @ words + bias) / step)
        aims = word * step - bias + rng.choice([-1, 1], count) * np.maximum(step * 0.01, 0.5)
        free, order = np.ones(len(words), bool), rng.permutation(len(words))
        for part in BLOCKS:
            words = _solved(matrix, aims, words, free, low, high)
            fixed = order[: int(part * len(order))]
            words[fixed] = np.rint(words[fixed])
            free[fixed] = False
        words = _nearer(matrix / step[:, None], aims / step, np.rint(words), low, high)
        near = int((np.abs(aims - matrix @ words) < NEAR * step).sum())
        return near * (1 + int((np.abs(words) > 20).sum())), words.astype(np.int64)


def _solved(
    matrix: Floats, aims: Floats, words: Floats, free: NDArray[np.bool_], low: Floats, high: Floats
) -> Floats:
    """The nearest words that meet the equations and the ends, by turns."""
    words = words.copy()
    for turn in range(TURNS):
        missing = aims - matrix @ words
        if np.abs(missing).max() < 1:
            break
        # Words at an end stay there for some turns, and the others make up for them.
        some = np.flatnonzero(free if turn % 5 == 0 else free & (words > low) & (words < high))
        if not len(some):
            break
        part = matrix[:, some]
        gram = part @ part.T
        gram[np.diag_indices(len(gram))] += 1e-6 * np.trace(gram) / len(gram) + 1e-9
        words[some] = np.clip(words[some] + part.T @ np.linalg.solve(gram, missing), low[some], high[some])
    return words


def _nearer(matrix: Floats, aims: Floats, words: Floats, low: Floats, high: Floats) -> Floats:
    """Change one word at a time by a little as long as the sums come nearer."""
    words, squares = words.copy(), (matrix**2).sum(axis=0)
    missing = aims - matrix @ words
    changes = np.array([-3, -2, -1, 1, 2, 3])[:, None]
    for _ in range(STEPS):
        gain = 2 * changes * (missing @ matrix) - changes**2 * squares
        gain[(words + changes < low) | (words + changes > high)] = -1
        which, word = divmod(int(gain.argmax()), len(words))
        if gain[which, word] <= 0:
            break
        words[word] += changes[which, 0]
        missing -= matrix[:, word] * changes[which, 0]
    return words
