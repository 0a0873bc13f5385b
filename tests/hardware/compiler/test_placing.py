# SPDX-License-Identifier: MIT
"""Decisions about where buffers stand, and the buffers that they become."""

from __future__ import annotations

from fixedpoint_nn.hardware.compiler.placing import Placing
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register, View, dense_axes
from fixedpoint_nn.numerics.qformat import Q


def view(buffer: Buffer, offset: int = 0) -> View:
    return View(buffer, offset, dense_axes((1, 4), (0, 1)), Q(4, 4))


def test_a_part_of_a_part_stands_at_the_sum_of_the_offsets() -> None:
    outer, middle, inner = Buffer("outer", 64), Buffer("middle", 16), Buffer("inner", 4)
    placing = Placing()
    placing.put(middle, outer, 32)
    placing.put(inner, middle, 8)
    assert placing.place(view(inner, 1)) == (outer, 41)
    resolved = placing.resolved(inner)
    assert (resolved.root.name, resolved.place) == ("outer", 40)
    assert resolved.root is placing.resolved(outer), "one buffer becomes one buffer"
    assert inner.parent is None, "the program that was given stays as it was"


def test_what_joins_the_rows_of_a_loop_moves_with_them_and_makes_room() -> None:
    rows, other, register = Buffer("rows", 32, used=32), Buffer("other", 8), Register(8, span=24)
    placing = Placing()
    placing.put_in_rows(view(other), rows, placing.used(rows), register)
    assert placing.used(rows) == 40
    assert placing.words(rows) == 64
    assert placing.register(other) is register
    assert placing.resolved(rows).words == 64


def test_a_buffer_is_free_until_something_depends_on_its_place() -> None:
    buffer, constant = Buffer("buffer", 8), Buffer("constant", 8, constants=(1,), keep=True)
    placing = Placing()
    assert placing.is_free(view(buffer))
    assert not placing.is_free(view(buffer, 1))
    assert not placing.is_free(view(constant))
    placing.fix_distance(view(buffer))
    assert not placing.is_free(view(buffer))


def test_a_part_moves_as_what_it_is_a_part_of_unless_it_has_a_register_of_its_own() -> None:
    register, own = Register(8), Register(4)
    root = Buffer("root", 64, loop_register=register)
    part, mine = Buffer("part", 8, root, 8), Buffer("mine", 8, root, 16, own)
    placing = Placing()
    inner, alone = Buffer("inner", 4), Buffer("alone", 4)
    placing.put(inner, part, 2)
    assert placing.register(part) is placing.register(inner) is register
    assert placing.register(mine) is own
    assert placing.register(alone) is None
    assert placing.has_parent(inner) and not placing.has_parent(alone)
