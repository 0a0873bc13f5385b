# SPDX-License-Identifier: MIT
"""Who uses a value decides whether it stays an expression, stands in rows, and what it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer
from fixedpoint_nn.hardware.compiler.uses import Consumers
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numbers.traced.traced import trace

WORD = Q(4, 4)
OUT = Quantizer(WORD)
ONE, TWO = (Quantizer(WORD, name=name) for name in ("one", "two"))
WEIGHTS = FixedArray.from_ints(np.ones((6, 6), np.int64), WORD)
GROUPS = FixedArray.from_ints(np.ones((2, 4, 1), np.int64), WORD)


def traced(net: Callable[[Any], Any], *shape: int) -> tuple[Program, Consumers]:
    program = trace(net, shape or (3, 6), WORD)
    return program, Consumers(program)


def places(program: Program, verb: str) -> list[int]:
    return [place for place, node in enumerate(program.nodes) if node.op == verb]


@pytest.mark.parametrize(
    ("net", "leaky"),
    [
        (lambda x: (x + 1).maximum((x + 1).scaled(-3)), None),  # two sums, though they are alike
        (lambda x: (lambda y: y.maximum(y.scaled(-3)))(x + 1), 3),
        (lambda x: (lambda y: y.scaled(-3).maximum(y))(x + 1), 3),
        (lambda x: (lambda y: y.maximum(y.scaled(-1)))(x + 1), 1),
        (lambda x: (lambda y: y.maximum(y.scaled(2)))(x + 1), None),
        (lambda x: (lambda y: y.maximum(y.scaled(0)))(x + 1), None),
        (lambda x: (lambda y: y.maximum(y.scaled(-3)) + y)(x + 1), None),
        (lambda x: (lambda y, z: y.maximum(z) + z)(*(lambda y: (y, y.scaled(-3)))(x + 1)), None),
        (lambda x: (x + 1).maximum(x.scaled(-3)), None),
    ],
)
def test_a_value_or_a_part_of_it_is_a_leaky_relu_if_nothing_else_reads_them(
    net: Callable[[Any], Any], leaky: int | None
) -> None:
    program, uses = traced(lambda x: net(x).cast(OUT))
    (place,) = places(program, "maximum")
    if leaky is None:
        assert uses.leaky == {} and uses.skipped == set()
        return
    (source,) = places(program, "add")
    assert uses.leaky == {place: (source, leaky)}
    assert uses.skipped == set(places(program, "scaled"))
    assert uses.can_fuse(source), "two read it, in one run"


@pytest.mark.parametrize(
    ("net", "fuses"),
    [
        (lambda x: (x + 1).cast(OUT), True),
        (lambda x: (lambda y: y.cast(OUT) + y)(x + 1), False),
        (lambda x: (lambda y: y[..., :3].cast(OUT) + y[..., 3:].cast(OUT))(x + 1), True),
        (lambda x: (lambda y: y[..., :3].cast(OUT) + y.cast(OUT)[..., 3:])(x + 1), False),
        (lambda x: x + 1, False),  # the result itself
    ],
)
def test_a_value_stays_an_expression_for_one_reader_or_for_slices(
    net: Callable[[Any], Any], fuses: bool
) -> None:
    program, uses = traced(net)
    assert uses.can_fuse(places(program, "add")[0]) is fuses


def test_a_value_that_nothing_reads_is_no_expression() -> None:
    program, uses = traced(lambda x: (x + 1).cast(OUT))
    program.outputs.append(0)
    assert not Consumers(program).can_fuse(0)
    uses.users[0] = []
    program.outputs.remove(0)
    assert not uses.can_fuse(0)


EDGES = ((0, 0), (0, 0))


@pytest.mark.parametrize(
    ("net", "rows"),
    [
        (lambda x: (x @ WEIGHTS).cast(OUT), False),
        (lambda x: x.argmax(), False),
        (lambda x: x.cast(OUT), True),
        (lambda x: (x.reshape(-1, 18)[:, 6:12] @ WEIGHTS).cast(OUT), False),
        (lambda x: x.reshape(-1, 18)[:, 6:12].cast(OUT), True),
        (lambda x: (x @ WEIGHTS).cast(OUT).concat([x[..., :2].cast(OUT)]), True),
        (lambda x: x, False),
    ],
)
def test_what_all_lanes_read_at_once_stands_in_rows(net: Callable[[Any], Any], rows: bool) -> None:
    _, uses = traced(net)
    assert uses.needs_rows(0) is rows


def test_windows_of_groups_are_read_by_all_lanes_and_others_by_who_reads_them() -> None:
    for groups, rows in ((2, True), (1, False)):
        size = 4 * 2 // groups
        weights = FixedArray.from_ints(np.ones((groups, size, 1)[2 - groups :], np.int64), WORD)

        def net(x: Any, groups: int = groups, size: int = size, weights: Any = weights) -> Any:
            windows = x.windows((2, 2), (1, 1), EDGES, groups=groups)
            shape = (-1, 2, 2, groups, size) if groups > 1 else (-1, 2, 2, size)
            return windows.reshape(*shape).dot(weights).cast(OUT)

        assert traced(net, 3, 3, 2)[1].needs_rows(0) is rows
    pooled = traced(lambda x: x.windows((2, 2), (1, 1), EDGES).max(3).cast(OUT), 3, 3, 2)[1]
    assert pooled.needs_rows(0)


@pytest.mark.parametrize(
    ("net", "verbs"),
    [
        (lambda x: x.cast(OUT), {"cast"}),
        (lambda x: (x.max(1, keepdims=True) + x).cast(OUT), {"max", "add"}),
        (lambda x: x.reshape(-1, 18)[:, :4].max(1, keepdims=True), {"max"}),
        (lambda x: x.transpose(0, 2, 1).max(1), {"max"}),
        (lambda x: x[:, 1:].reshape(-1, 12).concat([x[:, 0]]).cast(OUT), {"concat"}),
        (lambda x: x.reshape(-1, 18), set()),
    ],
)
def test_readers_are_those_behind_any_movement(net: Callable[[Any], Any], verbs: set[str]) -> None:
    assert traced(net)[1].readers(0) == verbs


def test_an_operation_has_the_name_of_the_cast_that_ends_it_or_of_one_before() -> None:
    program, uses = traced(lambda x: ((x @ WEIGHTS).relu().cast(ONE).reshape(-1, 18) * 3).cast(TWO).relu())
    names = {node.op: uses.name(place) for place, node in enumerate(program.nodes) if node.op != "constant"}
    assert names["dot"] == "one"
    assert names["reshape"] == names["mul"] == "two"
    assert [uses.name(place) for place in places(program, "cast")] == ["one", "two"]
    assert [uses.name(place) for place in places(program, "relu")] == ["one", "two"]
    assert uses.name(len(program.nodes) - 1) == "two", "nothing comes after it, so what was before"
    _, uses = traced(lambda x: x.cast(ONE).relu())
    assert [uses.name(place) for place in range(3)] == ["one"] * 3
    assert [uses.where(place) for place in range(3)] == ["one"] * 3
    nameless, uses = traced(lambda x: x + 1)
    assert [uses.name(place) for place in range(len(nameless.nodes))] == [""] * len(nameless.nodes)


def test_every_use_of_a_value_is_known() -> None:
    program, uses = traced(lambda x: (x * x + x).cast(OUT))
    (product,), (total,), (last,) = (places(program, verb) for verb in ("mul", "add", "cast"))
    assert uses.users == {0: [product, product, total], product: [total], total: [last], last: []}
