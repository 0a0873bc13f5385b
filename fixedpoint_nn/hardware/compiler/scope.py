# SPDX-License-Identifier: MIT
"""The state of lowering one program or the body of a loop: its values, and their targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from fixedpoint_nn.hardware.compiler.broadcasting import constant_expression
from fixedpoint_nn.hardware.compiler.builder import Builder
from fixedpoint_nn.hardware.compiler.column_halves import halves
from fixedpoint_nn.hardware.compiler.dense_copy import walkable
from fixedpoint_nn.hardware.compiler.errors import LoweringError, in_layer
from fixedpoint_nn.hardware.compiler.expression import Expression, load
from fixedpoint_nn.hardware.compiler.kernel import Path
from fixedpoint_nn.hardware.compiler.rescaling import Rescalings, all_between
from fixedpoint_nn.hardware.compiler.scan_layout import plan_rows
from fixedpoint_nn.hardware.compiler.strided_view import Atom, View, dense_axes
from fixedpoint_nn.hardware.compiler.uses import Consumers
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import VERBS, Program, TracedNode
from fixedpoint_nn.numerics.qformat import QFormat

Value = View | Expression | FixedArray | list[View]  # a view, an expression, a constant, or a loop's results
Rule = Callable[["Scope", int, TracedNode], Value]


class Scope:
    """Lowers one program or the body of a loop."""

    def __init__(
        self, builder: Builder, program: Program, rules: Mapping[str, Rule], prefix: Path = ()
    ) -> None:
        self.builder = builder
        self.program = program
        self.rules = rules
        self.prefix = prefix
        self.values: dict[int, Value] = {}
        self.halved: set[int] = set()  # images with even and odd columns stored separately
        self.consumers = Consumers(program)
        self.rescaled = Rescalings(program, self.consumers.users, builder.multiplier).found(
            builder.multiply_everywhere
        )
        self.consumers.skipped |= set(all_between(self.rescaled))
        self.rows, self.targets, self.blocks = plan_rows(program, builder)

    def run(self, *arguments: View) -> list[View]:
        """Lower every node by its verb's rule; returns the views of the program's outputs."""
        waiting = iter(arguments)
        for place, node in enumerate(self.program.nodes):
            if node.op == "input":
                self.values[place] = next(waiting)
            elif place not in self.consumers.skipped:
                self.values[place] = self._lower(place, node)
        return [self.view(place) for place in self.program.outputs]

    def _lower(self, place: int, node: TracedNode) -> Value:
        self._at(place)
        with in_layer(self.builder.refused):
            value = self._value(place, node)
            if isinstance(value, Expression) and not self.consumers.can_fuse(place):
                self.values[place] = value
                return self.view(place)
            return value

    def _at(self, place: int) -> None:
        """Set the builder's current layer to that of a node."""
        self.builder.layer = self.consumers.name(place)
        self.builder.refused = self.consumers.where(place) or self.program.nodes[place].op

    def _value(self, place: int, node: TracedNode) -> Value:
        if node.op == "constant":
            assert node.value is not None
            return node.value
        if node.op == "zeros":
            return FixedArray.from_ints(np.zeros(node.shape, np.int64), node.format)
        operands = [self.values.get(i) for i in node.inputs]
        if operands and node.op in VERBS and all(isinstance(value, FixedArray) for value in operands):
            constant: FixedArray = VERBS[node.op](*operands, **node.attributes)
            return constant
        rule = self.rules.get(node.op)
        if rule is None:
            raise LoweringError(f"uses the verb {node.op!r}, which is not lowered")
        return rule(self, place, node)

    # ---- values in other forms -----------------------------------------------------------------------------

    def path(self, place: int) -> Path:
        """The path of a node in the whole program: outer loops first."""
        return (*self.prefix, place)

    def view(self, place: int, search: bool = False) -> View:
        """The view of a value; an expression is computed now, with an argmax search if `search`."""
        value = self.values[place]
        if isinstance(value, FixedArray):
            return self.builder.constant(value)
        if isinstance(value, Expression):
            self._at(place)
            apart = None
            if not search and place not in self.targets:
                apart = halves(self.builder, self.consumers, place, self.path(place), value)
            if apart is not None:
                self.halved.add(place)
            value = apart or self.builder.compute(
                value,
                self.targets.get(place),
                self.path(place),
                self.consumers.needs_rows(place),
                search=search,
            )
            self.values[place] = value
        if not isinstance(value, View):
            raise LoweringError("takes all results of a loop at once; take them one by one")
        return value

    def expression(self, place: int) -> Expression:
        """The value as an expression; a stored one as a load."""
        value = self.values[place]
        if isinstance(value, Expression):
            return value
        if isinstance(value, FixedArray):
            return constant_expression(value, self.builder)
        return load(walkable(self.builder, self.view(place), self.path(place)))

    def sum(self, place: int) -> Expression:
        """The value as a sum to which terms can be added."""
        expression = self.expression(place)
        return expression if expression.is_sum else load(self.view(place))


def input_view(scope: Scope, shape: Sequence[int], format: QFormat, place: int) -> View:
    """The view of the input, where the host writes a sample."""
    target = scope.targets.get(place)
    if target is not None:
        block = target.stride, scope.blocks[place]
        axes = ((), (Atom(prod(shape) // block[1], block[0]), Atom(block[1], 1)))
        return View(target.buffer, target.offset, axes, format).reshape(shape)
    scope.builder.layer = "input"
    target, strides = scope.builder.target(shape, scope.consumers.needs_rows(place))
    return View(target.buffer, 0, dense_axes(shape, strides), format)
