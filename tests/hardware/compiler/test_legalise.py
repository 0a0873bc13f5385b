# SPDX-License-Identifier: MIT
"""Operands come to where one run can read them; a state is written back in place only if nothing reads the old one."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn import FixedArray, Q, Quantizer
from fixedpoint_nn.hardware.compiler.computation import computation
from fixedpoint_nn.hardware.compiler.expression import load
from fixedpoint_nn.hardware.compiler.ir import Compute, Declare, EngineProgram, Item, WriteBack, computations
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.legalise import legalise
from fixedpoint_nn.hardware.compiler.lower import lowered
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, View, dense_axes
from fixedpoint_nn.numbers.traced.traced import trace

FORMAT = Q(4, 4)


def vector(name: str, words: int = 8) -> View:
    return View(Buffer(name, words), 0, dense_axes((1, words), (0, 1)), FORMAT)


def compute(source: View, target: View) -> Compute:
    """target = source."""
    item, _ = computation(load(source), "copy", "copy", (), 8, Target(target.buffer, 0, 8))
    return item


def legal(*items: Item) -> EngineProgram:
    view = vector("port")
    return legalise(EngineProgram(8, items, (), view, view))


def declared(*views: View) -> list[Declare]:
    return [Declare(view.buffer) for view in views]


def test_a_new_state_takes_the_place_of_the_old_one_that_nothing_reads_any_more() -> None:
    source, new, old = vector("source"), vector("new"), vector("old")
    written = WriteBack("state", "state", new, old, must_copy=False)
    program = legal(*declared(source, new, old), compute(old, source), compute(source, new), written)
    _, last = computations(program.items)
    assert last.target.buffer.root.name == "old"
    assert [item.value.name for item in program.items if isinstance(item, Declare)] == ["source", "old"]


def test_a_new_state_is_copied_if_the_old_one_is_read_after_it_was_written() -> None:
    source, new, old = vector("source"), vector("new"), vector("old")
    written = WriteBack("state", "state", new, old, must_copy=False)
    program = legal(*declared(source, new, old), compute(source, new), compute(old, source), written)
    targets = [item.target.buffer.root.name for item in computations(program.items)]
    assert targets == ["new", "source", "state", "old"]


def test_a_new_state_takes_the_place_of_an_old_one_that_nothing_reads() -> None:
    source, new, old = vector("source"), vector("new"), vector("old")
    program = legal(compute(source, new), WriteBack("state", "state", new, old, must_copy=False))
    assert [item.target.buffer.root.name for item in computations(program.items)] == ["old"]
    assert not any(item.declares for item in computations(program.items)), (
        "declarations are items of their own"
    )


def test_a_state_that_is_an_argument_of_the_body_is_always_copied() -> None:
    new, old = vector("new"), vector("old")
    written = WriteBack("state", "state", new, old, must_copy=True)
    program = legal(*declared(new, old), compute(old, new), written)
    assert [item.target.buffer.root.name for item in computations(program.items)] == ["new", "state", "old"]


def _lowered(net: Any, *shape: int) -> EngineProgram:
    return lowered(trace(net, shape, FORMAT), 8)


def test_a_part_of_a_row_is_copied_to_the_start_of_one_before_all_lanes_read_it() -> None:
    out = Quantizer(FORMAT)
    before = _lowered(lambda x: (x[:, 3:11] * x[:, :8]).cast(out), 16)
    after = legalise(before)
    assert len(list(computations(before.items))) == 1
    copy, product = computations(after.items)
    (term,) = product.expression.terms
    assert copy.target.buffer in {view.buffer for view in term.views()}
    assert all(view.place[1] % 8 == 0 for view in term.views())


def test_factors_of_a_sum_of_products_stand_equally_far_apart() -> None:
    out, weights = Quantizer(FORMAT), FixedArray.from_ints(np.ones((8, 8), np.int64), FORMAT)

    def net(x: Any) -> Any:
        f, c, i, g = ((x @ weights).cast(out) for _ in range(4))
        return (f * c + i * g).cast(out)

    after = legalise(_lowered(net, 8))
    *_, last = computations(after.items)
    (f, c), (i, g) = (term.views() for term in last.expression.terms)
    roots = {view.buffer.root for view in (f, c, i, g)}
    assert len(roots) == 1
    assert i.place[1] - f.place[1] == g.place[1] - c.place[1] != 0


def test_the_program_that_it_is_given_stays_as_it_was() -> None:
    out, weights = Quantizer(FORMAT), FixedArray.from_ints(np.ones((8, 8), np.int64), FORMAT)
    before = _lowered(lambda x: ((x @ weights).cast(out) * (x @ weights).cast(out) + x * x).cast(out), 8)
    buffers = [view.buffer for item in computations(before.items) for view in item.views()]
    state = [(buffer.parent, buffer.offset, buffer.words) for buffer in buffers]
    legalise(before)
    assert [(buffer.parent, buffer.offset, buffer.words) for buffer in buffers] == state
