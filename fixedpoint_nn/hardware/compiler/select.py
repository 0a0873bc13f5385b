# SPDX-License-Identifier: MIT
"""Computations to kernels: one run of the engine for each, or for each channel group of a grouped convolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fixedpoint_nn.hardware.compiler.errors import in_layer
from fixedpoint_nn.hardware.compiler.ir import Compute, EngineProgram, Item, Loop
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.kernel_selection import build


def select(program: EngineProgram) -> EngineProgram:
    """The same program with kernels in the place of computations."""
    return replace(program, items=tuple(_selected(program.items, program.lanes)))


def _selected(items: Sequence[Item], lanes: int) -> Iterator[Item]:
    for item in items:
        if isinstance(item, Loop):
            yield replace(item, body=tuple(_selected(item.body, lanes)))
        elif isinstance(item, Compute):
            with in_layer(item.layer):
                kernels = list(_kernels(item, lanes))
            yield from kernels
        else:
            yield item


def _kernels(item: Compute, lanes: int) -> Iterator[Kernel]:
    parts = item.expression.parts
    width = item.expression.channels // len(parts)
    for number, terms in enumerate(parts):
        columns = slice(number * width, (number + 1) * width)
        place = replace(item.target, offset=item.target.offset + number * width)
        kernel = build(item.name, item.path, item.expression, terms, columns, place, lanes)
        kernel = replace(kernel, argmax=item.search, write=item.write)
        yield kernel if item.noise is None else replace(kernel, table=item.noise, noise=True)
