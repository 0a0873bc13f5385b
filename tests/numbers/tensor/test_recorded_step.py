# SPDX-License-Identifier: MIT
"""What a step of a loop writes down of itself, and what it must leave to the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.numbers.tensor.recorded_step import NotFusable, RecordedStep, StepProgram, record_step
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.qformat import Q
from fixedpoint_nn.numerics.value_table import ValueTable

TWICE = ValueTable.of("twice", lambda code: 2 * code, Q(4, 0), Q(5, 0))
SQUARE, WIDE, ROW = Tensor(np.ones((4, 4))), Tensor(np.ones((4, 6))), Tensor(np.arange(4.0))
Step = Callable[..., Any]


def recorded(
    step: Step, inputs: Any = ((4, True),), states: Any = (4, 4), several: bool = False
) -> StepProgram:
    return record_step(
        step, inputs, states, several, np.dtype(np.float64), lambda value: isinstance(value, Tensor)
    )


def operations(step: Step) -> list[tuple[Any, ...]]:
    """Verb, result, operands and setting; places 0 to 2 are x and the states."""
    return [(op.verb, op.out, op.inputs, op.setting) for op in recorded(step).operations]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (lambda x, h: x + h, [("add", 3, (0, 1), None)]),
        (lambda x, h: x - h, [("sub", 3, (0, 1), None)]),
        (lambda x, h: x * h, [("mul", 3, (0, 1), None)]),
        (lambda x, h: x + ROW, [("add_leaf", 3, (0,), None)]),
        (lambda x, h: x - ROW, [("sub_leaf", 3, (0,), None)]),
        (lambda x, h: x * ROW, [("mul_leaf", 3, (0,), None)]),
        (lambda x, h: x + 2, [("shift", 3, (0,), 2)]),
        (lambda x, h: 2 + x, [("shift", 3, (0,), 2)]),
        (lambda x, h: x - 2, [("shift", 3, (0,), -2)]),
        (lambda x, h: 2 - x, [("scale", 3, (0,), -1.0), ("shift", 4, (3,), 2)]),
        (lambda x, h: x * 0.5, [("scale", 3, (0,), 0.5)]),
        (lambda x, h: 0.5 * x, [("scale", 3, (0,), 0.5)]),
        (lambda x, h: -x, [("scale", 3, (0,), -1.0)]),
        (lambda x, h: x.scaled(-2), [("scale", 3, (0,), 0.25)]),
        (lambda x, h: x @ SQUARE, [("dot", 3, (0,), None)]),
        (lambda x, h: x.dot(SQUARE), [("dot", 3, (0,), None)]),
        (lambda x, h: x.dot(SQUARE, initial=h), [("dot", 3, (0, 1), None)]),
        (lambda x, h: x.dot(WIDE)[..., 1:5], [("dot", 3, (0,), None), ("view", 4, (3,), 1)]),
        (lambda x, h: x.dot(WIDE)[:, 2:], [("dot", 3, (0,), None), ("view", 4, (3,), 2)]),
        (lambda x, h: x.dot(WIDE)[:, :4:1], [("dot", 3, (0,), None), ("view", 4, (3,), 0)]),
        (lambda x, h: x.relu(), [("relu", 3, (0,), None)]),
        (lambda x, h: x.relu().cast(None), [("relu", 3, (0,), None)]),
    ],
)  # fmt: skip
def test_every_verb_is_written_down(value: Step, expected: list[Any]) -> None:
    found = operations(lambda x, h, c: ((y := value(x, h)), y, y))
    assert found == expected


def test_parts_are_views_side_by_side() -> None:
    for axis in (-1, 1):

        def step(x: Any, h: Any, c: Any, axis: int = axis) -> Any:
            a, b, last = x.dot(WIDE).split(3, axis)
            return (z := (a * b - last).dot(Tensor(np.ones((2, 4))))), z, z

        views = [(op.out, op.setting) for op in recorded(step).operations if op.verb == "view"]
        assert views == [(4, 0), (5, 2), (6, 4)]
    assert recorded(step).widths == (4, 4, 4, 6, 2, 2, 2, 2, 2, 4)


OTHER = RecordedStep(np.dtype(np.float64), lambda value: isinstance(value, Tensor)).new(4)
REFUSED: dict[str, tuple[Step, str]] = {
    "two widths": (lambda x, h: x.dot(WIDE) + h, "values of two shapes, or of two loops"),
    "another loop's value": (lambda x, h: x * OTHER, "values of two shapes, or of two loops"),
    "a leaf of another shape": (lambda x, h: x + SQUARE, "add of Tensor"),
    "an array": (lambda x, h: x * np.ones(4), "mul of ndarray"),
    "a product with a row": (lambda x, h: x @ ROW, "a product with something else than a matrix"),
    "a product with an array": (lambda x, h: x.dot(np.ones((4, 4))), "a product with something else than a matrix"),
    "a product of values": (lambda x, h: x @ h, "a product with something else than a matrix"),
    "a start of a leaf": (
        lambda x, h: x.dot(SQUARE, initial=ROW), "a product that starts from something else than rows"
    ),
    "a start of another loop": (
        lambda x, h: x.dot(SQUARE, initial=OTHER), "a product that starts from something else than rows"
    ),
    "a start of another width": (
        lambda x, h: x.dot(SQUARE, initial=x.dot(WIDE)), "a product that starts from something else than rows"
    ),
    "another float": (lambda x, h: x + Tensor(np.ones(4, np.float32)), "float32 and float64"),
    "a column": (lambda x, h: x[..., 2], "index (Ellipsis, 2)"),
    "every second": (lambda x, h: x[..., ::2], "index (Ellipsis, slice(None, None, 2))"),
    "backwards": (lambda x, h: x[..., ::-1], "index (Ellipsis, slice(None, None, -1))"),
    "no columns": (lambda x, h: x[..., 2:2], "index (Ellipsis, slice(2, 2, None))"),
    "rows": (lambda x, h: x[1:], "index slice(1, None, None)"),
    "rows and columns": (lambda x, h: x[1:, :], "index (slice(1, None, None), slice(None, None, None))"),
    "three axes": (
        lambda x, h: x[..., :, 1:], "index (Ellipsis, slice(None, None, None), slice(1, None, None))"
    ),
    "all": (lambda x, h: x[...], "index Ellipsis"),
    "unequal parts": (lambda x, h: x.split(3)[0], "unequal parts, or parts of the batch"),
    "parts of the batch": (lambda x, h: x.split(2, 0)[0], "unequal parts, or parts of the batch"),
    "a third axis": (lambda x, h: x.split(2, 2)[0], "unequal parts, or parts of the batch"),
    "gelu": (lambda x, h: x.lookup("gelu"), "the gradient of gelu, which needs what it was given"),
    "a table of values": (lambda x, h: x.lookup("twice", TWICE), "the gradient of the table twice"),
    "a sum": (lambda x, h: x.sum(), "sum"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_repeated_says_what_it_is(name: str) -> None:
    value, reason = REFUSED[name]
    with pytest.raises(NotFusable) as caught:
        recorded(lambda x, h, c: ((y := value(x, h)), y, y))
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda x, h, c: (x, h + 1, c + 1), "an output that no operation makes"),
        (lambda x, h, c: (x + 1, h, c + 1), "an output that no operation makes"),
        (lambda x, h, c: (x + 1, h + 1), "an output that no operation makes"),
        (lambda x, h, c: (x + 1, h + 1, SQUARE), "an output that no operation makes"),
        (lambda x, h, c: (x + 1, x.dot(WIDE), c + 1), "states that change their shape"),
    ],
)
def test_outputs_are_made_by_operations_and_states_keep_their_shape(step: Step, reason: str) -> None:
    with pytest.raises(NotFusable) as caught:
        recorded(step)
    assert str(caught.value) == reason


def test_a_program_holds_what_is_needed_and_wants_the_gradients_of_what_is_read() -> None:
    def step(xs: Any, h: Any) -> Any:
        a, b, c = xs
        b.relu()  # which nobody reads
        y = a * h
        return y, y + c

    program = recorded(step, ((4, True), (4, True), (4, False)), (4,), several=True)
    assert [op.verb for op in program.operations] == ["mul", "add"]
    assert (program.inputs, program.states, program.wanted) == ((0, 1, 2), (3,), frozenset({0}))
    assert (program.y, program.after) == (5, (6,))
    assert program.widths == (4,) * 7
