# SPDX-License-Identifier: MIT
"""Settings that override a recipe's, under the names of the options of `fixedpoint-nn train`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from inspect import signature
from typing import Any

from fixedpoint_nn.training.optimisers import OPTIMISERS
from fixedpoint_nn.training.schedules import SCHEDULES
from fixedpoint_nn.zoo.entry import Entry

OF_BUILD = ("hidden", "dropout")


@dataclass(frozen=True)
class Settings:
    """Training settings; None keeps the recipe's value.

    `hidden` is one number of units, or one for each hidden layer. Another `optimiser` has its own default rate, unless
    `learning_rate` is given too, and keeps the recipe's L2.
    """

    learning_rate: float | None = None
    batch: int | None = None
    hidden: tuple[int, ...] | None = None
    l2: float | None = None
    dropout: float | None = None
    optimiser: str | None = None
    schedule: str | None = None

    def __post_init__(self) -> None:
        for name, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES)):
            value = getattr(self, name)
            if value is not None and value not in known:
                raise ValueError(f"{name} {value!r} is not known; use one of {', '.join(known)}")

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Settings:
        """The inverse of `as_json`; unknown settings are ignored."""
        known = {field.name: given[field.name] for field in fields(cls) if given.get(field.name) is not None}
        if "hidden" in known:
            known["hidden"] = tuple(known["hidden"])
        return cls(**known)

    def as_json(self) -> dict[str, Any]:
        """The settings that are not None, as JSON values."""
        found = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}

    def options(self) -> list[str]:
        """The settings that are not None, as options of `fixedpoint-nn train`."""
        given: list[str] = []
        for name, value in self.as_json().items():
            given += [f"--{name.replace('_', '-')}", _text(value)]
        return given

    def applied(self, entry: Entry) -> Entry:
        """The entry with its build function, source and recipe changed by these settings."""
        if not self.as_json():
            return entry
        build = {
            name: self._build_argument(entry, name) for name in OF_BUILD if getattr(self, name) is not None
        }
        recipe, batch = entry.recipe, self.batch
        optimiser: Any = recipe.optimiser()
        if self.optimiser is not None and self.optimiser != type(optimiser).__name__.lower():
            optimiser = OPTIMISERS[self.optimiser](l2=optimiser.l2)
        changed = {"rate": self.learning_rate, "l2": self.l2}
        optimiser = replace(
            optimiser, **{name: value for name, value in changed.items() if value is not None}
        )
        recipe = replace(
            recipe,
            optimiser=lambda: replace(optimiser),
            schedule=recipe.schedule if self.schedule is None else SCHEDULES[self.schedule](),
        )
        source = entry.source if batch is None else lambda: replace(entry.source(), size=batch)  # type: ignore[type-var]
        return replace(entry, build=partial(entry.build, **build), source=source, recipe=recipe)

    def _build_argument(self, entry: Entry, name: str) -> Any:
        """The value of a setting as an argument of the network's `build`; raises ValueError if it takes none."""
        parameters = signature(entry.build).parameters
        if name not in parameters:
            raise ValueError(
                f"{entry.name} takes no {name}; leave --{name} out (it takes {_supported_options(entry)})"
            )
        value, usual = getattr(self, name), parameters[name].default
        if name == "dropout":
            return value
        wanted = len(usual) if isinstance(usual, tuple) else 1
        if len(value) != wanted:
            counts = f"{wanted} numbers, such as --hidden {_text(usual)}" if wanted > 1 else "one number"
            raise ValueError(f"hidden {_text(value)} does not fit {entry.name}; give {counts}")
        return value if isinstance(usual, tuple) else value[0]


def supported_settings(entry: Entry) -> tuple[str, ...]:
    """The names of the settings that this network supports."""
    parameters = signature(entry.build).parameters
    return tuple(
        field.name for field in fields(Settings) if field.name not in OF_BUILD or field.name in parameters
    )


def _supported_options(entry: Entry) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in supported_settings(entry))


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
