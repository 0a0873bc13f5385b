# SPDX-License-Identifier: MIT
"""The learning curves of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class History:
    """Learning curves: one value per epoch for every name, and the epoch whose weights were kept."""

    curves: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int | None = None
    stopped_early: bool = False

    def __len__(self) -> int:
        return max(map(len, self.curves.values()), default=0)

    def add(self, values: Mapping[str, float]) -> None:
        """Append one value to each curve."""
        for name, value in values.items():
            self.curves.setdefault(name, []).append(float(value))

    def then(self, other: History) -> History:
        """These curves, followed by those of a training that continued this one."""
        if not len(self):
            return other
        curves = {name: [*values, *other.curves.get(name, [])] for name, values in self.curves.items()}
        best = None if other.best_epoch is None else len(self) + other.best_epoch
        return History(curves, best, other.stopped_early)

    def last(self) -> dict[str, float]:
        """The last epoch's values, by name."""
        return {name: values[-1] for name, values in self.curves.items()}

    def best(self) -> dict[str, float]:
        """The values of the epoch whose weights were kept, by name."""
        return {name: values[self._kept()] for name, values in self.curves.items()}

    def _kept(self) -> int:
        return len(self) - 1 if self.best_epoch is None else self.best_epoch
