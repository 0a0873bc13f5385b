# SPDX-License-Identifier: MIT
"""Sharing the parts of a batch among threads, of which the calling one is the first.

Threads help where NumPy and the compiled kernels work, because these do not hold Python's lock.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import Any, TypeVar

P = TypeVar("P")
R = TypeVar("R")

VARIABLE = "FIXEDPOINT_NN_THREADS"
PARTS = 8  # for each thread, so that one on a busy core does fewer


def threads() -> int:
    """The number of threads for a large batch, from the environment variable; default 1."""
    wanted = os.environ.get(VARIABLE, "") or "1"
    if not wanted.isdigit() or int(wanted) < 1:
        raise ValueError(f"{VARIABLE}={wanted!r} is no number of threads; use 1, 2, 3, ...")
    return int(wanted)


def rows_of_part(batch: int, count: int, block: int) -> int:
    """The rows of each part: whole blocks, at most `PARTS` parts for each of `count` threads."""
    return -(-batch // (block * PARTS * count)) * block


def by_threads(count: int, work: Callable[[P], R], parts: Sequence[P]) -> list[R]:
    """The work's result for each part, in order; each of `count` threads takes the next part when it is free."""
    left = deque(enumerate(parts))
    results: list[Any] = [None] * len(parts)

    def take() -> None:
        while left:
            try:
                place, part = left.popleft()
            except IndexError:  # another thread took the last one
                return
            results[place] = work(part)

    helping = min(count, len(parts)) - 1
    helpers = [_pool(helping).submit(copy_context().run, take) for _ in range(helping)]
    take()
    for helper in helpers:
        if not helper.cancel():  # one that has not begun is not needed any more
            helper.result()
    return results


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "fixedpoint_nn")
