# SPDX-License-Identifier: MIT
"""The gradient tape: which results are recorded, and the walk backwards over them.

A result refers to its parents and to a function that hands each parent its share of the result's gradient; the
function never refers to the result itself, so a tape has no cycles and is freed as soon as nobody holds its end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Protocol

from fixedpoint_nn.numerics.arrays import Array

Backward = Callable[[Array], None]


class Node(Protocol):
    """What the walk asks of a result; ranks rise in the order in which results are made."""

    grad: Array | None
    _backward: Backward | None
    _rank: int

    @property
    def parents(self) -> Sequence[Node]:
        """The values that this one was computed from."""


class _ThreadState(threading.local):
    """Whether and how results are recorded, for each thread: one may evaluate while another one trains."""

    recording = True
    fusing = True


_thread = _ThreadState()
_ranks = count()


def next_rank() -> int:
    """A number larger than that of every result made before."""
    return next(_ranks)


def is_recording() -> bool:
    """Whether results made now in this thread remember how they were made."""
    return _thread.recording


@contextmanager
def no_gradient() -> Iterator[None]:
    """Inside this block nothing is recorded, so evaluation keeps no memory."""
    before, _thread.recording = _thread.recording, False
    try:
        yield
    finally:
        _thread.recording = before


def is_fusing() -> bool:
    """Whether a loop of this thread may be recorded as one operation."""
    return _thread.fusing


@contextmanager
def operation_by_operation() -> Iterator[None]:
    """Inside this block every operation of a loop is on the tape, for those who look at it."""
    before, _thread.fusing = _thread.fusing, False
    try:
        yield
    finally:
        _thread.fusing = before


def walk_back(end: Node, keep: bool) -> None:
    """Hand the gradient of `end` to all that it depends on; without `keep`, results on the way drop theirs."""
    for node in reversed(_recorded(end)):
        assert node._backward is not None and node.grad is not None
        node._backward(node.grad)
        if not keep and node is not end:
            node.grad = None


def _recorded(end: Node) -> list[Node]:
    """Every recorded result that `end` depends on, itself included, in the order in which they were made."""
    found: dict[int, Node] = {}
    stack = [end]
    while stack:
        node = stack.pop()
        if node._rank not in found and node._backward is not None:
            found[node._rank] = node
            stack.extend(node.parents)
    return [found[rank] for rank in sorted(found)]
