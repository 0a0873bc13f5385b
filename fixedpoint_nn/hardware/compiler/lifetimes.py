# SPDX-License-Identifier: MIT
"""The words that items read and write, and the lifetimes of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from fixedpoint_nn.hardware.compiler.ir import Flat, JumpIfEqual, Label, LoadRegister, Repeat, StoreArgmax
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register

T = TypeVar("T")
Span = tuple[Buffer, Register | None, int, int]  # root, register, lowest and highest offset


def reads(item: Flat) -> Iterator[Span]:
    """The words that an item may read."""
    if isinstance(item, LoadRegister):
        yield item.word.buffer.root, item.word.buffer.register, item.word.place[1], item.word.place[1]
    if not isinstance(item, Kernel):
        return
    for view in (*item.operands, *item.factors):
        root, low = view.place
        high = low
        for atom in (*item.taps, *item.pixels):
            walk = atom.stride * (atom.size - 1)
            low, high = low + min(walk, 0), high + max(walk, 0)
        if item.tile_stride:
            high += item.tile_stride * (item.tiles - 1)
        high += item.step_words - 1 - item.unused
        yield root, view.buffer.register, low, high


def writes(item: Flat) -> Iterator[Span]:
    """The words that an item may write."""
    if isinstance(item, StoreArgmax):
        yield item.word.buffer.root, item.word.buffer.register, item.word.place[1], item.word.place[1]
    if isinstance(item, Kernel) and item.write:
        root, low, high = item.writes
        yield root, item.target.buffer.register, low, high


def overlap(a: Span, b: Span) -> bool:
    """Whether both may access one word; words of one buffer that move differently may."""
    return a[0] is b[0] and (a[1] is not b[1] or (a[2] <= b[3] and b[2] <= a[3]))


def targets(item: Flat) -> tuple[Label, ...]:
    """The labels that an item may jump to."""
    if isinstance(item, Repeat):
        return (item.begin,)
    return (item.target,) if isinstance(item, JumpIfEqual) else ()


def lifetimes(
    items: Sequence[Flat],
    touched: Callable[[Flat], Iterable[T]],
    before: Mapping[T, tuple[int, int]] | None = None,
) -> dict[T, tuple[int, int]]:
    """(first, last) item that accesses each value, extended over loops that carry it.

    `before` has the lifetimes of values that are alive before the first item.
    """
    labels = {item: number for number, item in enumerate(items) if isinstance(item, Label)}
    life = dict(before or {})
    for number, item in enumerate(items):
        for value in touched(item):
            first, last = life.get(value, (number, number))
            life[value] = min(first, number), max(last, number)
    for number, item in enumerate(items):
        for label in targets(item):
            begin = labels[label]
            for value, (first, last) in life.items():
                if begin <= number and first <= number and last >= begin:
                    life[value] = min(begin, first), max(last, number)
    return life
