# SPDX-License-Identifier: MIT
"""A cache of plans per layer or network, with the lifetime of its owner."""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import finalize

T = TypeVar("T")


class Remembered(dict[int, dict[Any, T]]):
    """A dictionary for each owner, by id, which is removed with the owner."""

    def of(self, owner: Any) -> dict[Any, T] | None:
        """The owner's dictionary; None for an owner without weak references, for which nothing is cached."""
        if id(owner) not in self:
            try:
                finalize(owner, self.pop, id(owner), None)
            except TypeError:
                return None
            self[id(owner)] = {}
        return self[id(owner)]
