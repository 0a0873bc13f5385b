# SPDX-License-Identifier: MIT
"""Memory of large arrays that goes from one training step to the next.

Every step makes arrays of the same sizes. Memory new from the operating system costs a page fault for each 4 KB, which
was an eighth to a quarter of a step. Here a block of memory is lent again as soon as no array refers to it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from sys import getrefcount

import numpy as np
from numpy.typing import DTypeLike

from fixedpoint_nn.numerics.arrays import Array

SMALLEST_BYTES = 1 << 16  # smaller arrays come from the heap without page faults


def _references(blocks: Sequence[Array], number: int) -> int:
    return getrefcount(blocks[number])


_FREE = _references([np.empty(1)], 0)  # the references to a block that only its list holds


class _Pool:
    """Blocks by their size; those that a whole step did not need are dropped."""

    def __init__(self) -> None:
        self.blocks: dict[int, list[Array]] = defaultdict(list)
        self.needed: dict[int, int] = defaultdict(int)  # blocks of a size that this step has used

    def lend(self, size: int) -> Array:
        """A block of `size` bytes to which no array refers."""
        blocks = self.blocks[size]
        for number in range(len(blocks)):
            if _references(blocks, number) == _FREE:
                break
        else:
            number = len(blocks)
            blocks.append(np.empty(size, np.uint8))
        self.needed[size] = max(self.needed[size], number + 1)
        return blocks[number]

    def drop_unneeded(self) -> None:
        """Drop what was not lent since the last call."""
        for size, blocks in list(self.blocks.items()):
            del blocks[self.needed[size] :]
            if not blocks:
                del self.blocks[size]
        self.needed.clear()


class _ThreadState(threading.local):
    pool: _Pool | None = None


_thread = _ThreadState()


@contextmanager
def reused_memory() -> Iterator[None]:
    """A context in which the large arrays of this thread's tensors use the memory of earlier ones."""
    before = _thread.pool
    _thread.pool = before or _Pool()
    try:
        yield
    finally:
        _thread.pool = before


def after_a_step() -> None:
    """Give back the memory that the last step did not use, such as that of a batch of another length."""
    if _thread.pool is not None:
        _thread.pool.drop_unneeded()


def empty(shape: Sequence[int], dtype: DTypeLike) -> Array:
    """An array of undefined content, as `np.empty`."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if _thread.pool is None or size < SMALLEST_BYTES:
        return np.empty(shape, dtype)
    array: Array = np.ndarray(tuple(shape), dtype, _thread.pool.lend(size))
    return array


def computed(function: np.ufunc, a: Array, b: Array) -> Array:
    """function(a, b); for two arrays of one shape and type in memory of `empty`."""
    alike = a.shape == b.shape and a.dtype == b.dtype
    return np.asarray(function(a, b, out=empty(a.shape, a.dtype) if alike else None))
