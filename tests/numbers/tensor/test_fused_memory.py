# SPDX-License-Identifier: MIT
"""Which values of a step share their memory, which are kept for the way back, and where gradients lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.numbers.tensor.fused_memory import FusedMemory
from fixedpoint_nn.numbers.tensor.recorded_step import record_step
from fixedpoint_nn.numbers.tensor.tensor import Tensor

SQUARE, WIDE, ROW = Tensor(np.ones((4, 4))), Tensor(np.ones((4, 8))), Tensor(np.arange(4.0))
STEPS, ROWS = 5, 3


def memory(step: Callable[..., Any], wanted: bool = True) -> FusedMemory:
    """Of a step of x and one state: places 0 and 1."""
    dtype = np.dtype(np.float64)
    program = record_step(step, ((4, wanted),), (4,), False, dtype, lambda value: isinstance(value, Tensor))
    return FusedMemory(program, [np.zeros((STEPS, ROWS, 4))])


def parts(x: Any, h: Any) -> Any:
    """2 is wide, 3 and 4 its halves, 5 and 6 their tables, 7 the next state."""
    a, b = x.dot(WIDE).split(2)
    y = a.tanh() + b.exp()
    return y, y


def overlapping(x: Any, h: Any) -> Any:
    """3 and 4 read columns 2 to 4 both."""
    z = x.dot(WIDE)
    y = z[..., :4] + z[..., 2:6]
    return y, y


def whole_and_part(x: Any, h: Any) -> Any:
    """2 is read by 3, a view, and by 4."""
    z = x.dot(WIDE)
    y = z[..., :4] + (z + z).dot(Tensor(np.ones((8, 4))))
    return y, y


def some_columns(x: Any, h: Any) -> Any:
    """Two columns of 2 are read by nobody."""
    z = x.dot(WIDE)
    y = (z[..., :4] + z[..., 4:6].dot(Tensor(np.ones((2, 4))))) * 2.0
    return y, y + h


@pytest.mark.parametrize(
    ("step", "kept", "shared", "next_state"),
    [
        (lambda x, h: ((y := x + h), y), {2}, {}, {2: 0}),
        (lambda x, h: ((y := (x + h) + ROW), y), {3}, {}, {3: 0}),
        (lambda x, h: ((y := (x + h) * 2.0 + 1), y), {4}, {3: 2}, {4: 0}),
        (lambda x, h: ((y := (x + h) * 2.0 + 1), y + x), {4}, {3: 2, 4: 3}, {5: 0}),
        (lambda x, h: ((y := (x - h) * (x + h)), y), {2, 3, 4}, {}, {4: 0}),
        (lambda x, h: ((y := ((x - h) * ROW) * 2.0), y + 1), {2, 4}, {4: 3}, {5: 0}),
        (lambda x, h: ((y := (x - h).dot(SQUARE) * 2.0), y + 1), {2, 4}, {4: 3}, {5: 0}),
        (lambda x, h: ((y := (x - h).relu() * 2.0), y + 1), {3, 4}, {3: 2}, {5: 0}),
        (lambda x, h: ((y := (x - h).tanh() * 2.0), y + 1), {3, 4}, {3: 2}, {5: 0}),
        (lambda x, h: ((y := (z := x - h) + z), y * 2.0), {3}, {}, {4: 0}),
        (lambda x, h: ((y := x.dot(SQUARE, initial=x + h) + 1), y), {0, 4}, {}, {4: 0}),
        (parts, {0, 5, 6, 7}, {5: 3, 6: 4}, {7: 0}),
        (overlapping, {0, 5}, {}, {5: 0}),
        (whole_and_part, {0, 4, 6}, {}, {6: 0}),
        (some_columns, {0, 4, 7}, {6: 3, 7: 6}, {8: 0}),
        (lambda x, h: (x + h, x.dot(WIDE)[..., 4:]), {0, 2}, {}, {}),
    ],
)
def test_what_the_way_back_reads_is_kept_and_all_else_is_written_over(
    step: Any, kept: set[int], shared: dict[int, int], next_state: dict[int, int]
) -> None:
    found = memory(step)
    assert (found.kept, found.memory_of, found.next_state) == (kept, shared, next_state)
    for place, value in enumerate(found.values):
        width = found.program.widths[place]
        assert value.shape == (STEPS, ROWS, width)
        root = place
        while root in shared or found.is_view(root):
            root = shared[root] if root in shared else found.made_by[root].inputs[0]
        assert np.shares_memory(value, found.values[root])
    stack = found.state_stacks[0]
    assert stack.shape == (STEPS + 1, ROWS, 4)
    assert np.shares_memory(found.values[1], stack[:-1]) and not np.shares_memory(found.values[1], stack[-1])
    for place in next_state:
        assert np.shares_memory(found.values[place], stack[1:]) and found.values[place].base is not None
        assert not np.shares_memory(found.values[place], stack[0])
    for place in kept:
        assert found.values[place].strides[0] > 0, "every step has its own"


@pytest.mark.parametrize(
    ("step", "passed_on", "shared"),
    [
        (lambda x, h: ((y := x + h), y), {0: 2}, set()),
        (lambda x, h: ((y := (x - h) + 1), y), {0: 2, 2: 3}, set()),
        (lambda x, h: ((y := (x + x) + 1), y), {2: 3}, set()),
        (lambda x, h: ((y := ((x * h) + ROW) - ROW), y), {2: 3, 3: 4}, set()),
        (lambda x, h: ((y := (x * 2.0).dot(SQUARE, initial=x - h)), y), {3: 4}, set()),
        (lambda x, h: ((y := (x * 2.0) + (h * 2.0)), y), {2: 4, 3: 4}, set()),
        (lambda x, h: ((y := (x * 2.0) - (h * 2.0)), y), {2: 4}, set()),
        (parts, {5: 7, 6: 7}, set()),
        (overlapping, {}, {2, 3, 4}),
        (whole_and_part, {5: 6}, {2, 3}),
        (some_columns, {5: 6}, {2, 3, 4}),
    ],
)
def test_gradients_are_passed_on_where_there_is_one_result_and_cleared_where_shares_are_added(
    step: Any, passed_on: dict[int, int], shared: set[int]
) -> None:
    found = memory(step)
    assert found.passed_on == passed_on
    assert found.shared_gradients() == shared
    for place, place_on in found.passed_on.items():
        assert found.gradients[place] is found.gradients[place_on]
    assert all(g.shape == v.shape for g, v in zip(found.gradients, found.values, strict=True))


def test_gradients_of_all_steps_are_kept_where_they_are_asked_for() -> None:
    def stacked(found: FusedMemory) -> list[int]:
        return [place for place, gradient in enumerate(found.gradients) if gradient.strides[0] > 0]

    leaf = Tensor(np.ones((4, 4)), needs_gradient=True)
    assert stacked(memory(lambda x, h: ((y := (x * h) * 2.0), y))) == [0]
    assert stacked(memory(lambda x, h: ((y := (x * h) * 2.0), y), wanted=False)) == []
    assert stacked(memory(lambda x, h: ((y := (x * h).dot(leaf)), y), wanted=False)) == [3]
    assert stacked(memory(lambda x, h: ((y := (x * h).dot(leaf) + 1), y), wanted=False)) == [3, 4]
    assert memory(lambda x, h: ((y := x + h), y), wanted=False).constant == {0}
    assert memory(lambda x, h: ((y := x + h), y)).constant == set()
