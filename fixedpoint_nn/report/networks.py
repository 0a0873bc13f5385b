# SPDX-License-Identifier: MIT
"""Grouping of records by network: equal weights belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fixedpoint_nn.report.record import Record

SHOWN = 12  # hexadecimal digits of a network's hash that are shown


@dataclass(frozen=True)
class Subject:
    """One network: its name, and the hash of its weights, if known."""

    name: str
    weights: str | None
    images: str | None = None  # hash of a pack's images, if its weights are unknown
    sources: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name with the first digits of the hash."""
        if self.weights is None:
            return f"{self.name}, {f'images {self.images[:SHOWN]}' if self.images else 'weights not told'}"
        return f"{self.name}, weights {self.weights[:SHOWN]}"

    @property
    def note(self) -> str:
        """A sentence about the origin of the weights, as far as known."""
        if self.images:
            return (
                f"A pack that does not tell the float weights which it was made of; {self.images[:SHOWN]} begins the "
                "SHA-256 of its images."
            )
        if self.weights is None:
            return (
                f"These runs of {self.name} do not tell which weights they took, so nothing says that they are of one "
                "network; run them again to see it."
            )
        shipped = ["the package"] if self.name in self.sources else []
        files = [source for source in self.sources if source != self.name]
        whence = " and ".join([*shipped, *files])
        return (
            f"All of it is of one network, {self.name}: the SHA-256 of its weights begins with {self.weights[:SHOWN]}"
            f"{f', which come from {whence}' if whence else ''}."
        )


def by_network(records: Sequence[Record]) -> dict[Subject, list[Record]]:
    """The records of each network, the one with the most records first."""
    found: dict[tuple[str, str | None, str | None], list[Record]] = {}
    for record in records:
        name, weights, pack = (record.results.get(key) for key in ("network", "weights", "pack"))
        key = str(name), _text(weights), _text(pack) if weights is None else None
        found.setdefault(key, []).append(record)
    largest = sorted(found.items(), key=lambda item: -len(item[1]))
    return {Subject(*key, _sources(group)): group for key, group in largest}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _sources(records: Sequence[Record]) -> tuple[str, ...]:
    given = (record.results.get("source") for record in records)
    return tuple(dict.fromkeys(str(source) for source in given if source is not None))
