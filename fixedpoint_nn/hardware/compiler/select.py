# SPDX-License-Identifier: MIT
"""The pass `select`: computations become kernels, one for each, or for each group of a grouped convolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fixedpoint_nn.hardware.compiler.errors import in_layer
from fixedpoint_nn.hardware.compiler.ir import Compute, EngineProgram, Item, LoopItem
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.kernel_selection import build


def select(program: EngineProgram) -> EngineProgram:
    """The program with kernels instead of computations."""
    return replace(program, items=tuple(_selected(program.items, program)))


def _selected(items: Sequence[Item], program: EngineProgram) -> Iterator[Item]:
    for item in items:
        if isinstance(item, LoopItem):
            yield replace(item, body=tuple(_selected(item.body, program)))
        elif isinstance(item, Compute):
            with in_layer(item.layer):
                kernels = list(_kernels(item, program))
            yield from kernels
        else:
            yield item


def _kernels(item: Compute, program: EngineProgram) -> Iterator[Kernel]:
    parts = item.expression.parts
    width = item.expression.channels // len(parts)
    for number, terms in enumerate(parts):
        columns = slice(number * width, (number + 1) * width)
        place = replace(item.target, offset=item.target.offset + number * width)
        kernel = build(
            item.name,
            item.path,
            item.expression,
            terms,
            columns,
            place,
            program.lanes,
            program.words,
            program.drain,
        )
        ways = tuple(_with_results(way, item) for way in kernel.ways)
        yield replace(_with_results(kernel, item), ways=ways)


def _with_results(kernel: Kernel, item: Compute) -> Kernel:
    """The kernel with the use of its results: written, searched, or replaced by noise."""
    kernel = replace(kernel, argmax=item.search, write=item.write)
    return kernel if item.noise is None else replace(kernel, table=item.noise, noise=True)
