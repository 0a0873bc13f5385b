# SPDX-License-Identifier: MIT
"""The path of the network part that is running, for error messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_here: ContextVar[str] = ContextVar("here", default="")


def here() -> str:
    """The path of the running part, such as `encoder.conv1`; empty outside named parts."""
    return _here.get()


@contextmanager
def inside(name: str) -> Iterator[None]:
    """A context in which `name` is appended to the path."""
    before = _here.get()
    token = _here.set(f"{before}.{name}" if before else name)
    try:
        yield
    finally:
        _here.reset(token)
