# SPDX-License-Identifier: MIT
"""Search spaces: ranges and choices by name, and the default space around a recipe's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from inspect import signature
from typing import Any

from fixedpoint_nn.zoo.entry import Entry
from fixedpoint_nn.zoo.settings import Settings, supported_settings

WEAKEST_L2, STRONGEST_L2 = 1e-6, 1e-2


@dataclass(frozen=True)
class Real:
    """A real number between low and high; with `log`, uniform in its logarithm."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: Any, name: str) -> float:
        """The trial's value."""
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))


@dataclass(frozen=True)
class Integer:
    """An integer from low to high, in steps of `step`."""

    low: int
    high: int
    step: int = 1

    def suggest(self, trial: Any, name: str) -> int:
        """The trial's value."""
        return int(trial.suggest_int(name, self.low, self.high, step=self.step))


@dataclass(frozen=True)
class Categorical:
    """One of several values."""

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        object.__setattr__(self, "options", options)

    def suggest(self, trial: Any, name: str) -> Any:
        """The trial's value."""
        return trial.suggest_categorical(name, self.options)


Space = Mapping[str, Real | Integer | Categorical]


def usual_space(entry: Entry) -> Space:
    """The default space of `fixedpoint-nn tune`: ranges around the recipe's values."""
    rate, known = entry.recipe.optimiser().rate, supported_settings(entry)
    size = int(getattr(entry.source(), "size", None) or 64)
    space: dict[str, Real | Integer | Categorical] = {
        "learning_rate": Real(rate / 10, rate * 10, log=True),
        "batch": Categorical(*sorted({max(size // 2, 1), size, 2 * size})),
        "l2": Real(WEAKEST_L2, STRONGEST_L2, log=True),
        "schedule": Categorical("constant", "linear", "cosine"),
    }
    if "dropout" in known:
        space["dropout"] = Real(0.0, 0.5)
    if "hidden" in known:
        usual = signature(entry.build).parameters["hidden"].default
        sizes = usual if isinstance(usual, tuple) else (usual,)
        space["hidden"] = Categorical(
            *(",".join(str(max(int(n * f), 1)) for n in sizes) for f in (0.5, 1, 2))
        )
    return space


def as_settings(chosen: Mapping[str, Any]) -> Settings:
    """The values of a trial that are options of `fixedpoint-nn train`."""
    known = {field.name for field in fields(Settings)}
    given = {name: value for name, value in chosen.items() if name in known}
    if "hidden" in given:
        given["hidden"] = tuple(int(part) for part in str(given["hidden"]).split(","))
    return Settings(**given)
