# SPDX-License-Identifier: MIT
"""Batches of detection scenes that are composed anew in every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.data.examples import Examples
from fixedpoint_nn.data.scenes import compose
from fixedpoint_nn.training.batches import Batch


@dataclass(frozen=True)
class SceneBatches:
    """A source of `steps` batches of `size` random scenes with these garments, and their boxes."""

    garments: Examples
    size: int = 64
    steps: int = 150

    def __len__(self) -> int:
        return self.steps

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """(images (size, 64, 64, 1), boxes (size, 3, 5)), drawn by `rng`."""
        for _ in range(self.steps):
            yield compose(self.garments, self.size, rng)
