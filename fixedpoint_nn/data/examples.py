# SPDX-License-Identifier: MIT
"""Inputs with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs `x` (n, ...) and labels `y` (n, ...); `classes` names the labels if they are classes."""

    x: Array
    y: Array
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(
                f"{len(self.x)} inputs and {len(self.y)} answers are no examples; each input needs one answer."
            )

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Any) -> Examples:
        """Some of the rows, by a slice or by an array of indices: `train[:1000]`."""
        if isinstance(rows, int):
            raise TypeError(f"Examples are cut by a slice or by indices: write [{rows}:{rows + 1}] for one.")
        return Examples(self.x[rows], self.y[rows], self.classes)

    def __repr__(self) -> str:
        return f"Examples(x={self.x.dtype}{self.x.shape}, y={self.y.dtype}{self.y.shape})"
