# SPDX-License-Identifier: MIT
"""The pass `flatten`: loops become labels and jumps in one list of items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fixedpoint_nn.hardware.compiler.ir import (
    Advance,
    Compute,
    Flat,
    Item,
    Label,
    LoopItem,
    Repeat,
    SetRegister,
    WriteBack,
)


def flatten(items: Sequence[Item]) -> tuple[Flat, ...]:
    """The items with every loop as: set registers, label, body, advance registers, repeat from the label."""
    return tuple(_flat(items))


def _flat(items: Sequence[Item]) -> Iterator[Flat]:
    for item in items:
        if isinstance(item, (Compute, WriteBack)):
            raise TypeError(f"{type(item).__name__} is no item of the engine yet; select kernels first")
        if not isinstance(item, LoopItem):
            yield item
            continue
        begin = Label("loop")
        yield from (SetRegister(register, 0) for register in item.moving)
        yield SetRegister(item.counter, item.count)
        yield begin
        yield from _flat(item.body)
        yield from (Advance(register) for register in item.moving if register.stride)
        yield Repeat(item.counter, begin)
