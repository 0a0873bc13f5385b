# SPDX-License-Identifier: MIT
"""The rule for embeddings: rows of a constant by token ids, as computed addresses and copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from fixedpoint_nn.hardware.compiler.constants import row_bits
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Dot, Expression
from fixedpoint_nn.hardware.compiler.ir import LoadRegister, LoopItem
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.scope import Scope
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Buffer, Register, View, dense_axes, merge
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import TracedNode

AT_ONCE = 3  # tokens per iteration of a loop
MAX_UNROLLED = 4  # tokens of a sample, with a register each
MAX_COPIES = 64  # of all samples, without a loop


def take(scope: Scope, place: int, node: TracedNode) -> View:
    """Lower take: the engine loads each token as an address and copies the row."""
    table, ids = scope.values[node.inputs[0]], scope.view(node.inputs[1])
    if not isinstance(table, FixedArray) or table.ndim != 2 or node.attributes["axis"] != 0:
        raise LoweringError("takes rows of something else than a constant matrix, which is not lowered")
    builder = scope.builder
    casts = [scope.program.nodes[user] for user in scope.consumers.users[place]]
    builder.layer = next((cast.name for cast in casts if cast.op == "cast" and cast.name), "embedding")
    width = table.shape[1]
    by_rows = builder.words > 1  # else the words of a row are as far apart as there are tokens
    home = builder.constants.rows(table) if by_rows else builder.constants.columns(table)
    count = prod(ids.shape)
    target = scope.targets.get(place)
    if target is None:
        target, strides = builder.target(node.shape, scope.consumers.needs_rows(place))
        axes = dense_axes(node.shape, strides)
    else:
        axes = dense_axes((1, count, width), (0, target.stride, 1))
    walk = merge([atom for axis in ids.axes for atom in axis])
    if len(walk) > 1:
        raise LoweringError("takes rows by ids that do not stand side by side; reshape them first")
    samples = ids.shape[0]
    each = count // samples
    if each <= MAX_UNROLLED and count <= MAX_COPIES:
        for sample in range(samples):
            first = replace(target, offset=target.offset + sample * each * target.stride)
            _unrolled(scope, place, ids.sample(sample), home, first, each, table)
    else:
        _in_a_loop(scope, place, ids, home, target, walk[0].stride, table)
    return View(target.buffer, target.offset, axes, table.format).reshape(node.shape)


def _copy(
    scope: Scope, place: int, home: Buffer, token: Register, table: FixedArray, target: Buffer, offset: int
) -> None:
    """Append the copy of a token's row, whose words are adjacent, or as far apart as there are tokens."""
    tokens, width = table.shape
    if scope.builder.words > 1:
        words = View(
            Buffer("row", width, parent=home, loop_register=token), 0, ((), (Atom(width, 1),)), table.format
        )
        same = Dot(words, np.eye(width, dtype=np.int64), table.format.frac_bits)
        expression = Expression(words.shape, table.format, ((same,),))
        scope.builder.compute(expression, Target(target, offset, width), scope.path(place))
        return
    row = View(
        Buffer("row", 1, parent=home, loop_register=token), 0, ((), (Atom(width, tokens),), ()), table.format
    )
    scope.builder.copied(row, scope.path(place), Target(target, offset, 1))


def _shift(scope: Scope, table: FixedArray) -> int:
    """The left shift that turns a token into an address."""
    return row_bits(table.shape[1]) if scope.builder.words > 1 else 0


def _unrolled(
    scope: Scope,
    place: int,
    ids: View,
    home: Buffer,
    target: Target,
    count: int,
    table: FixedArray,
) -> None:
    """Load all tokens before the first copy, because a load waits for copies."""
    builder = scope.builder
    tokens = [Register() for _ in range(count)]
    flat = ids.reshape((count, 1))
    for number, token in enumerate(tokens):
        builder.registers(token)
        builder.items.append(LoadRegister(token, flat.index(number), _shift(scope, table)))
    for number, token in enumerate(tokens):
        _copy(scope, place, home, token, table, target.buffer, target.offset + number * target.stride)


def _in_a_loop(
    scope: Scope,
    place: int,
    ids: View,
    home: Buffer,
    target: Target,
    distance: int,
    table: FixedArray,
) -> None:
    builder, count = scope.builder, prod(ids.shape)
    # If copies are short, several tokens are loaded before the first one, because a load waits for copies.
    at_once = AT_ONCE if builder.words > 1 else 1
    by_id, by_row, counter = Register(distance * at_once), Register(target.stride * at_once), Register()
    tokens = [Register() for _ in range(at_once)]
    moving = [by_id] if by_id.stride == by_row.stride else [by_id, by_row]
    by_row = moving[-1]
    builder.registers(*moving, counter, *tokens)
    where = Buffer("ids", ids.buffer.words, parent=ids.buffer, loop_register=by_id)
    there = Buffer("rows", table.shape[1], parent=target.buffer, offset=target.offset, loop_register=by_row)
    shift, rounds = _shift(scope, table), count // at_once

    def some(tokens: Sequence[Register], ids_in: Buffer, rows_in: Buffer, first: int) -> None:
        for number, token in enumerate(tokens):
            word = View(ids_in, ids.offset + (first + number) * distance, (), ids.format)
            builder.items.append(LoadRegister(token, word, shift))
        for number, token in enumerate(tokens):
            _copy(scope, place, home, token, table, rows_in, (first + number) * target.stride)

    with builder.block() as body:
        some(tokens, where, there, 0)
    builder.items.append(LoopItem(counter, rounds, tuple(moving), tuple(body)))
    if count > rounds * at_once:
        rest = Buffer("rows", target.buffer.words, parent=target.buffer, offset=target.offset)
        some(tokens[: count - rounds * at_once], ids.buffer, rest, rounds * at_once)
