# SPDX-License-Identifier: MIT
"""The pass `legalise`: copies are inserted and free buffers placed so that one run can read all operands.

After this pass the terms of every computation are of one kind and placed as a run reads them, each buffer knows its
parent, and states of loops are written back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from math import prod

from fixedpoint_nn.hardware.compiler.aligned_table import AlignedTable, finer
from fixedpoint_nn.hardware.compiler.computation import computation
from fixedpoint_nn.hardware.compiler.constants import Constants
from fixedpoint_nn.hardware.compiler.errors import in_layer
from fixedpoint_nn.hardware.compiler.expression import Expression, Product, load
from fixedpoint_nn.hardware.compiler.ir import (
    Compute,
    Declare,
    EngineProgram,
    Item,
    LoadRegister,
    LoopItem,
    StoreArgmax,
    WriteBack,
    computations,
)
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.operand_layout import Operands
from fixedpoint_nn.hardware.compiler.placing import Placing
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, View
from fixedpoint_nn.numerics.table import Table


def legalise(program: EngineProgram) -> EngineProgram:
    """The program in which every computation can be done by one run."""
    pass_ = _Legaliser(program)
    items = pass_.block(program.items)
    return replace(
        program,
        items=_resolved(items, pass_.placing),
        constants=tuple(map(pass_.placing.resolved, pass_.constants.buffers)),
        input=pass_.placing.view(program.input),
        output=pass_.placing.view(program.output),
    )


class _Legaliser:
    """The items of the current block so far, and the placement of buffers."""

    def __init__(self, program: EngineProgram) -> None:
        self.lanes, self.words = program.lanes, program.words
        self.constants = Constants(program.lanes, program.constants)
        self.readers = Counter(view.buffer for one in computations(program.items) for view in one.views())
        self.placing = Placing()
        self.items: list[Item] = []

    def block(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """The items of one block, legalised."""
        outer, self.items = self.items, []
        for together, some in groupby(items, lambda item: isinstance(item, WriteBack)):
            if together:
                self._write_back([item for item in some if isinstance(item, WriteBack)])
                continue
            for item in some:
                self._item(item)
        inner, self.items = self.items, outer
        return tuple(inner)

    def _item(self, item: Item) -> None:
        match item:
            case Compute():
                with in_layer(item.layer):
                    self.compute(item)
            case LoopItem():
                self.items.append(replace(item, body=self.block(item.body)))
            case _:
                self.items.append(item)

    def compute(self, item: Compute) -> None:
        """Append the computation, after the copies that it needs."""
        expression = Operands(self, item).arranged(item.expression)
        if item.declares:
            self.items.append(Declare(item.target.buffer, item.layer))
        for terms in expression.parts:
            if len(terms) > 1 or isinstance(terms[0], Product):
                for view in (view for term in terms for view in term.views()):
                    self.placing.fix_distance(view)
        self.items.append(replace(item, expression=expression, declares=False))

    def computed(self, expression: Expression, source: Compute | WriteBack, target: Target | None) -> View:
        """Append a separate computation of a part of an expression; returns the view of its result."""
        path = source.path if isinstance(source, Compute) else ()
        item, view = computation(expression, source.name, source.layer, path, self.lanes, target)
        self.compute(item)
        return view

    def buffer(self, name: str, words: int, layer: str) -> Buffer:
        """A new buffer of whole rows."""
        buffer = Buffer(name, -(-words // self.lanes) * self.lanes)
        self.items.append(Declare(buffer, layer))
        return buffer

    def aligned(self, view: View, bits: int) -> View | None:
        """The view of a table's results with `bits` more fraction bits, if nothing else reads them; else None."""
        for number, item in enumerate(self.items):
            if not isinstance(item, Compute) or item.target.buffer is not view.buffer:
                continue
            table = item.expression.table
            if not isinstance(table, Table) or self.readers[view.buffer] != 1 or item.search:
                return None
            wide = AlignedTable(table, bits)
            expression = replace(item.expression, table=wide, format=wide.output.format)
            self.items[number] = replace(item, expression=expression, path=())
            return replace(view, format=finer(view.format, bits))
        return None

    def _write_back(self, states: Sequence[WriteBack]) -> None:
        """Write back new states simultaneously: in place, or by two copies, all first ones before all second ones."""
        copies: list[tuple[WriteBack, View]] = []
        for item in states:
            new, old = item.new, item.old
            if self._can_be_in_place(item, states):
                self.placing.put(new.buffer, old.buffer, 0)
                continue
            with in_layer(item.layer):
                copies.append((item, self.computed(load(new.reshape((1, prod(new.shape)))), item, None)))
        for item, copy in copies:
            with in_layer(item.layer):
                self.computed(
                    load(copy), item, Target(item.old.buffer, item.old.offset, prod(item.old.shape))
                )

    def _can_be_in_place(self, item: WriteBack, states: Sequence[WriteBack]) -> bool:
        """Whether nothing reads the old state after the first write of the new one."""
        new, old = item.new, item.old
        if item.must_copy or not self.placing.is_movable(new) or new.buffer.constants is not None:
            return False
        if any(other.new.buffer is old.buffer for other in states):
            return False
        users = [(number, c) for number, one in enumerate(self.items) for c in computations([one])]
        writers = [number for number, c in users if c.target.buffer is new.buffer]
        readers = [number for number, c in users if any(view.buffer is old.buffer for view in c.views())]
        return bool(writers) and max(readers, default=-1) <= min(writers)


def _resolved(items: Sequence[Item], placing: Placing) -> tuple[Item, ...]:
    """The items over resolved buffers; buffers that are parts of others are not declared."""
    changed: list[Item] = []
    for item in items:
        match item:
            case Declare(value) if isinstance(value, Buffer):
                if not placing.has_parent(value):
                    changed.append(replace(item, value=placing.resolved(value)))
            case Compute():
                parts = tuple(
                    tuple(term.over_views(placing.view) for term in part) for part in item.expression.parts
                )
                target = replace(item.target, buffer=placing.resolved(item.target.buffer))
                expression = replace(item.expression, parts=parts)
                changed.append(replace(item, expression=expression, target=target))
            case LoadRegister() | StoreArgmax():
                changed.append(replace(item, word=placing.view(item.word)))
            case LoopItem():
                changed.append(replace(item, body=_resolved(item.body, placing)))
            case _:
                changed.append(item)
    return tuple(changed)
