# SPDX-License-Identifier: MIT
"""The gradient tape: recording of results, and the backward pass.

A result refers to its parents and to a function that adds to each parent's gradient; the function does not refer to the
result itself, so a tape has no cycles and is freed with the last reference to its end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Protocol

from fixedpoint_nn.numbers import reused_memory
from fixedpoint_nn.numerics.arrays import Array

Backward = Callable[[Array], None]


class TapeNode(Protocol):
    """The interface of a result for the backward pass; ranks increase in the order of creation."""

    grad: Array | None
    _backward: Backward | None
    _rank: int

    @property
    def parents(self) -> Sequence[TapeNode]:
        """The values that this one was computed from."""


class _ThreadState(threading.local):
    """Per-thread recording flags, so that one thread can evaluate while another trains."""

    recording = True
    fusing = True


_thread = _ThreadState()
_ranks = count()


def next_rank() -> int:
    """The next rank, larger than all before."""
    return next(_ranks)


def is_recording() -> bool:
    """Whether results are currently recorded in this thread."""
    return _thread.recording


@contextmanager
def no_gradient() -> Iterator[None]:
    """A context in which nothing is recorded, which saves memory in evaluation."""
    before, _thread.recording = _thread.recording, False
    try:
        yield
    finally:
        _thread.recording = before


def is_fusing() -> bool:
    """Whether loops may be fused into one operation in this thread."""
    return _thread.fusing


@contextmanager
def operation_by_operation() -> Iterator[None]:
    """A context in which every operation of a loop is recorded on the tape, for its inspection."""
    before, _thread.fusing = _thread.fusing, False
    try:
        yield
    finally:
        _thread.fusing = before


def walk_back(end: TapeNode, keep: bool) -> None:
    """The backward pass from `end`; without `keep`, intermediate results drop their gradients."""
    for node in reversed(_recorded(end)):
        assert node._backward is not None and node.grad is not None
        node._backward(node.grad)
        if not keep and node is not end:
            node.grad = None
    reused_memory.after_a_step()


def _recorded(end: TapeNode) -> list[TapeNode]:
    """All recorded results that `end` depends on, `end` included, in the order of creation."""
    found: dict[int, TapeNode] = {}
    stack = [end]
    while stack:
        node = stack.pop()
        if node._rank not in found and node._backward is not None:
            found[node._rank] = node
            stack.extend(node.parents)
    return [found[rank] for rank in sorted(found)]
