# SPDX-License-Identifier: MIT
"""Loops become labels and jumps."""

from __future__ import annotations

import pytest

from fixedpoint_nn.hardware.compiler.flatten import flatten
from fixedpoint_nn.hardware.compiler.ir import Advance, Label, LoopItem, Repeat, SetRegister, WriteBack
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register, View
from fixedpoint_nn.numerics.qformat import Q


def test_a_loop_becomes_a_label_and_a_jump_back_to_it() -> None:
    counter, still, moving = Register(), Register(), Register(8)
    inner = SetRegister(Register(), 7)
    flat = flatten([LoopItem(counter, 5, (still, moving), (inner,))])
    assert [type(item) for item in flat] == [
        SetRegister,
        SetRegister,
        SetRegister,
        Label,
        SetRegister,
        Advance,
        Repeat,
    ]
    assert [(item.register, item.value) for item in flat[:3]] == [(still, 0), (moving, 0), (counter, 5)]
    assert flat[4] is inner
    assert flat[5].register is moving
    assert (flat[6].register, flat[6].begin) == (counter, flat[3])


def test_loops_inside_of_loops_become_labels_of_their_own() -> None:
    inner = LoopItem(Register(), 3, (), ())
    flat = flatten([LoopItem(Register(), 2, (), (inner, inner))])
    labels = [item for item in flat if isinstance(item, Label)]
    assert len(set(labels)) == 3
    assert {item.begin for item in flat if isinstance(item, Repeat)} == set(labels)


def test_what_no_engine_can_do_yet_is_refused() -> None:
    view = View(Buffer("state", 8), 0, ((),), Q(4, 4))
    with pytest.raises(TypeError, match="WriteBack is no item of the engine yet; select kernels first"):
        flatten([WriteBack("state", "state", view, view, False)])
