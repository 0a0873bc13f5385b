# SPDX-License-Identifier: MIT
"""The error of every reader of other formats for a model that cannot be converted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class UnsupportedModel(ValueError):
    """Raised for a model with parts that cannot be converted; the message and `refusals` name all of them."""

    def __init__(self, message: str, refusals: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.refusals = tuple(refusals) or (message,)

    @classmethod
    def of(cls, part: str, refusals: Sequence[Any], failed: str = "converted exactly") -> UnsupportedModel:
        """The error for these refusals of nodes, operators or layers (`part`), which cannot be `failed`."""
        count = len(refusals)
        listed = "; ".join(map(str, refusals))
        return cls(
            f"the model has {count} {part}{'s' * (count > 1)} that cannot be {failed}: {listed}", refusals
        )
