# SPDX-License-Identifier: MIT
"""Objects that a `with` block closes at its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

Own = TypeVar("Own", bound="Closing")


class Closing(ABC):
    """A context manager whose end calls `close`, also after an error."""

    @abstractmethod
    def close(self) -> None:
        """Release what the object holds."""

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
