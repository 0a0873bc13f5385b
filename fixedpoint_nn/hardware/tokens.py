# SPDX-License-Identifier: MIT
"""Rows of a constant that are named by token ids: a computed address, and a copy."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fixedpoint_nn.fixed import FixedArray
from fixedpoint_nn.hardware.items import Fetch, Repeat, Start, Step
from fixedpoint_nn.hardware.kernel import Target
from fixedpoint_nn.hardware.refusal import Refusal
from fixedpoint_nn.hardware.views import Buffer, Register, View, dense_axes, merge
from fixedpoint_nn.program import Node

if TYPE_CHECKING:
    from fixedpoint_nn.hardware.lower import Scope


FEW = 4  # tokens that are worth a register each


def take(scope: Scope, place: int, node: Node) -> View:
    """Copy the rows of a table one by one; the engine loads each token as a shifted address."""
    table, ids = scope.values[node.inputs[0]], scope.view(node.inputs[1])
    if not isinstance(table, FixedArray) or table.ndim != 2 or node.attributes["axis"] != 0:
        raise Refusal("takes rows of something else than a constant matrix, which is not lowered")
    assembly = scope.assembly
    width = table.shape[1]
    shift = max((width - 1).bit_length(), (assembly.lanes - 1).bit_length())
    home = _table(scope, table, 1 << shift)
    count = prod(ids.shape)
    target = scope.targets.get(place)
    if target is None:
        target, strides = assembly.target(node.shape, scope.consumers.needs_rows(place))
        axes = dense_axes(node.shape, strides)
    else:
        axes = dense_axes((1, count, width), (0, target.stride, 1))
    walk = merge([atom for axis in ids.axes for atom in axis])
    if len(walk) > 1:
        raise Refusal("takes rows by ids that do not stand side by side; reshape them first")
    if count <= FEW:
        _together(scope, place, ids, home, shift, target, count, width, table)
    else:
        _in_a_loop(scope, place, ids, home, shift, target, walk[0].stride, width, table)
    return View(target.buffer, target.offset, axes, table.format).reshape(node.shape)


def _row(home: Buffer, token: Register, table: FixedArray) -> View:
    """The row that a register points to."""
    width = table.shape[1]
    buffer = Buffer("row", width, parent=home, moves=token)
    return View(buffer, 0, dense_axes((1, width), (0, 1)), table.format)


def _together(
    scope: Scope,
    place: int,
    ids: View,
    home: Buffer,
    shift: int,
    target: Target,
    count: int,
    width: int,
    table: FixedArray,
) -> None:
    """All tokens are loaded before the first copy, because a load waits for copies."""
    assembly = scope.assembly
    tokens = [Register(0) for _ in range(count)]
    flat = ids.reshape((count, 1))
    for number, token in enumerate(tokens):
        assembly.take_register(token)
        assembly.items.append(Fetch(token, flat.index(number), shift))
    for number, token in enumerate(tokens):
        there = Target(target.buffer, target.offset + number * target.stride, width)
        assembly.copied(_row(home, token, table), scope.path(place), there)
        assembly.give_register(token)


def _in_a_loop(
    scope: Scope,
    place: int,
    ids: View,
    home: Buffer,
    shift: int,
    target: Target,
    distance: int,
    width: int,
    table: FixedArray,
) -> None:
    assembly, count = scope.assembly, prod(ids.shape)
    by_id, by_row, counter, token = Register(distance), Register(target.stride), Register(0), Register(0)
    moving = [by_id] if by_id.stride == by_row.stride else [by_id, by_row]
    by_row = moving[-1]
    for register in (*moving, counter, token):
        assembly.take_register(register)
    assembly.items += [*(Start(register, 0) for register in moving), Start(counter, count)]
    begin = len(assembly.items)
    where = Buffer("ids", ids.buffer.words, parent=ids.buffer, moves=by_id)
    there = Buffer("rows", width, parent=target.buffer, offset=target.offset, moves=by_row)
    assembly.items.append(Fetch(token, View(where, ids.offset, (), ids.format), shift))
    assembly.copied(_row(home, token, table), scope.path(place), Target(there, 0, width))
    assembly.items += [*(Step(register) for register in moving), Repeat(counter, begin)]
    for register in (*moving, counter, token):
        assembly.give_register(register)


def _table(scope: Scope, table: FixedArray, stride: int) -> Buffer:
    """The rows of the table, a power of two of words apart."""
    rows, width = table.shape
    key = b"table" + table.ints.tobytes() + repr((table.shape, table.format)).encode()
    known = scope.assembly.constants
    if key not in known:
        words = np.zeros((rows, stride), np.int64)
        words[:, :width] = table.ints
        buffer = scope.assembly.buffer("table", words.size, constants=words.reshape(-1).tolist(), keep=True)
        known[key] = View(buffer, 0, (), table.format)
    return known[key].buffer
