# SPDX-License-Identifier: MIT
"""Where in a network a number is computed: the name of the part that is running now, for messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_here: ContextVar[str] = ContextVar("here", default="")


def here() -> str:
    """The path of the part that is running, such as `encoder.conv1`; empty outside of named parts."""
    return _here.get()


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Inside this block, the part `name` of the part that was running before."""
    before = _here.get()
    token = _here.set(f"{before}.{name}" if before else name)
    try:
        yield
    finally:
        _here.reset(token)
