# SPDX-License-Identifier: MIT
"""What was planned for a layer or a network, kept as long as it lives."""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import finalize

T = TypeVar("T")


class Remembered(dict[int, dict[Any, T]]):
    """For the id of each owner a dictionary of its own, which goes with the owner."""

    def of(self, owner: Any) -> dict[Any, T] | None:
        """The owner's dictionary; None for an owner that nobody can refer to weakly: it is planned in vain."""
        if id(owner) not in self:
            try:
                finalize(owner, self.pop, id(owner), None)
            except TypeError:
                return None
            self[id(owner)] = {}
        return self[id(owner)]
