# SPDX-License-Identifier: MIT
"""The rows of a loop: which values stand beside each other, and where, so that each sum reads neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Overflow, Q, Quantizer
from fixedpoint_nn.hardware.compiler.builder import Builder
from fixedpoint_nn.hardware.compiler.scan_layout import _offsets, _order, _sums, in_place, plan_rows
from fixedpoint_nn.hardware.compiler.strided_view import Atom
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.numerics.accumulator import Accumulator

WORD = Q(4, 4)
OUT = Quantizer(WORD)
SATURATING, WRAPPING = (Accumulator(Q(6, 8), how) for how in (Overflow.SATURATE, Overflow.WRAP))


def weights(rows: int) -> FixedArray:
    return FixedArray.from_ints(np.random.default_rng(rows).integers(-3, 4, (rows, 4)), WORD)


X, H = weights(6), weights(4)
ZERO = FixedArray.from_ints(np.zeros((1, 4), np.int64), WORD)


def traced(step: Callable[..., Any], states: int = 1, before: Callable[[Any], Any] = lambda x: x) -> Program:
    """A loop over three steps of six words; values 0, 1, 2, ... of its body are x and the states."""
    return trace(lambda x: before(x).scan(step, *[ZERO] * states)[0], (3, 6), WORD)


def body(step: Callable[..., Any], states: int = 1) -> Program:
    (found,) = (node.body for node in traced(step, states).nodes if node.op == "scan")
    assert found is not None
    return found


def once(value: Any, states: int = 1) -> Any:
    return (value.cast(OUT),) * (1 + states)


def inward(x: Any, h: Any) -> Any:
    return once(x.dot(X, None, h @ H))


def outward(x: Any, h: Any) -> Any:
    return once(h.dot(H, None, x @ X))


def of_parts(x: Any, h: Any) -> Any:
    return once(x[..., :4].reshape(-1, 4).dot(H, None, h[..., :4] @ H))


def saturating(x: Any, h: Any) -> Any:
    return once(x.dot(X, SATURATING, h.dot(H, SATURATING)))


def wrapping(x: Any, h: Any) -> Any:
    return once(x.dot(X, WRAPPING, h.dot(H, WRAPPING)))


def itself(x: Any, h: Any) -> Any:
    return once(x.dot(X, None, x @ X))


def apart(x: Any, h: Any) -> Any:
    return once(x @ X + h @ H)


def three(x: Any, g: Any, h: Any) -> Any:
    return once(x.dot(X, None, h.dot(H, None, g @ H)), 2)


def two_states(x: Any, g: Any, h: Any) -> Any:
    return once(g.dot(H, None, x @ X).cast(OUT) + h.dot(H, None, x @ X).cast(OUT), 2)


def three_states(x: Any, f: Any, g: Any, h: Any) -> Any:
    sums = [state.dot(H, None, x @ X).cast(OUT) for state in (f, g, h)]
    return once(sums[0] + sums[1] + sums[2], 3)


def strict_first(x: Any, g: Any, h: Any) -> Any:
    a = g.dot(H, SATURATING, x.dot(X, SATURATING)).cast(OUT)
    return once(a + h.dot(H, None, x @ X).cast(OUT), 2)


def strict_second(x: Any, g: Any, h: Any) -> Any:
    a = g.dot(H, None, x @ X).cast(OUT)
    return once(a + h.dot(H, SATURATING, x.dot(X, SATURATING)).cast(OUT), 2)


def long_second(x: Any, g: Any, h: Any) -> Any:
    a = g.dot(H, None, x @ X).cast(OUT)
    return once(a + h.dot(H, None, g.dot(H, None, x @ X)).cast(OUT), 2)


def others_second(x: Any, g: Any, h: Any) -> Any:
    a = g.dot(H, None, x @ X).cast(OUT)
    return once(a + h.dot(H, None, g @ H).cast(OUT), 2)


@pytest.mark.parametrize(
    ("step", "states", "sums", "order"),
    [
        (inward, 1, [([1, 0], False)], [1, 0]),
        (outward, 1, [([0, 1], False)], [0, 1]),
        (of_parts, 1, [([1, 0], False)], [1, 0]),
        (saturating, 1, [([1, 0], True)], [1, 0]),  # they saturate in this order, and in no other
        (wrapping, 1, [([1, 0], False)], [1, 0]),
        (itself, 1, [([0, 0], False)], []),
        (apart, 1, [], []),
        (three, 2, [([1, 2, 0], False)], [1, 2, 0]),
        (two_states, 2, [([0, 1], False), ([0, 2], False)], [2, 0, 1]),
        (three_states, 3, [([0, 1], False), ([0, 2], False), ([0, 3], False)], [2, 0, 1]),
        (strict_first, 2, [([0, 1], True), ([0, 2], False)], [2, 0, 1]),
        (strict_second, 2, [([0, 1], False), ([0, 2], True)], [0, 1]),
        (long_second, 2, [([0, 1], False), ([0, 1, 2], False)], [0, 1]),
        (others_second, 2, [([0, 1], False), ([1, 2], False)], [0, 1]),
    ],
)
def test_a_sum_reads_its_values_side_by_side(
    step: Callable[..., Any], states: int, sums: list[Any], order: list[int]
) -> None:
    made = body(step, states)
    assert _sums(made) == sums
    assert _order(made) == order


@pytest.mark.parametrize(
    ("order", "states", "lanes", "offsets", "end"),
    [
        ([0, 1], [1], 4, {0: 2, 1: 8}, 12),
        ([1, 0], [1], 4, {1: 0, 0: 4}, 10),
        ([0, 1], [1], 8, {0: 2, 1: 8}, 12),
        ([0, 2, 1], [1, 2], 4, {0: 2, 2: 8, 1: 12}, 16),
        ([0], [1], 4, {0: 2}, 8),
        ([], [1], 4, {}, 0),
    ],
)
def test_the_first_state_of_a_row_begins_a_row_of_the_memory(
    order: list[int], states: list[int], lanes: int, offsets: dict[int, int], end: int
) -> None:
    assert _offsets(body(three, 2), order, states, lanes) == (offsets, end)


def planned(program: Program) -> tuple[Any, ...]:
    """Of the rows: words, step, span, offsets; and where values are computed straight into them."""
    rows, targets, blocks = plan_rows(program, Builder(4))
    (one,) = rows.values()
    assert one.region.words == one.region.used
    into = {place: (target.offset, target.stride, blocks[place]) for place, target in targets.items()}
    return one.region.words, one.stride, one.register.stride, one.register.span, one.offsets, into


def test_rows_follow_each_other_one_more_than_there_are_steps() -> None:
    words, stride, step, span, offsets, into = planned(traced(inward))
    assert (words, stride, step, span) == (4 * 12, 12, 12, 2 * 12)
    assert offsets == {1: 0, 0: 4}
    assert into == {0: (4, 12, 6)}, "the input is written into the rows"


def test_what_is_computed_for_a_loop_goes_straight_into_its_rows() -> None:
    program = traced(inward, before=lambda x: x.relu().cast(OUT))
    (scan,) = (node for node in program.nodes if node.op == "scan")
    assert planned(program)[-1] == {scan.inputs[0]: (4, 12, 6)}
    flat = traced(inward, before=lambda x: x.relu().cast(OUT).reshape(-1, 18).reshape(-1, 3, 6))
    assert list(planned(flat)[-1].values()) == [(4, 12, 6)]


@pytest.mark.parametrize(
    "before",
    [
        lambda x: x[:, ::-1],
        lambda x: x.concat([x])[..., :6],
        lambda x: x.relu().cast(OUT).reshape(-1, 9, 2).cast(Quantizer(Q(3, 4))).reshape(-1, 3, 6),
    ],
)
def test_what_stands_elsewhere_or_has_other_rows_is_copied_there(before: Callable[[Any], Any]) -> None:
    assert planned(traced(inward, before=before))[-1] == {}


def test_one_value_goes_into_the_rows_of_one_loop() -> None:
    program = trace(lambda x: (x.scan(inward, ZERO)[0] + x.scan(outward, ZERO)[0]).cast(OUT), (3, 6), WORD)
    rows, targets, _ = plan_rows(program, Builder(4))
    assert len(rows) == 2
    first = next(iter(rows.values()))
    assert {place: target.buffer for place, target in targets.items()} == {0: first.region}


def test_a_loop_without_such_sums_has_no_rows() -> None:
    assert plan_rows(traced(apart), Builder(4)) == ({}, {}, {})


def test_states_in_place_stand_in_a_row_or_alone() -> None:
    made, builder = body(three, 2), Builder(4)
    views, targets = in_place(made, builder, [1, 2])
    assert targets == {}
    assert [view.buffer.offset for view in views] == [0, 4]
    row = views[0].buffer.root
    assert (row.words, row.used, views[1].buffer.root) == (16, 16, row)
    assert all(view.axes == ((), (Atom(4, 1),)) and view.format == WORD for view in views)
    views, targets = in_place(body(apart), builder, [1])
    assert (views[0].buffer.root is views[0].buffer, views[0].buffer.words, targets) == (True, 4, {})


def test_what_a_row_holds_beside_its_states_is_computed_into_it() -> None:
    def embedded(x: Any, h: Any) -> Any:
        return once(x.relu().cast(OUT).dot(X, None, h @ H))

    made = body(embedded)
    _, targets = in_place(made, Builder(4), [1])
    ((place, target),) = targets.items()
    assert made.nodes[place].op == "cast"
    assert (target.offset, target.stride, target.buffer.offset, target.buffer.words) == (0, 6, 4, 6)
