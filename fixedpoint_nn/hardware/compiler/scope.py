# SPDX-License-Identifier: MIT
"""From a traced program to kernels: what is stored, what is a view, and what one run computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.compiler import rules
from fixedpoint_nn.hardware.compiler.broadcasting import constant_expression
from fixedpoint_nn.hardware.compiler.builder import Assembly
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Expression, stored
from fixedpoint_nn.hardware.compiler.kernel import Path, Target
from fixedpoint_nn.hardware.compiler.scan_layout import plan_rows
from fixedpoint_nn.hardware.compiler.strided_view import Atom, View, dense_axes
from fixedpoint_nn.hardware.compiler.uses import Consumers
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import VERBS, Node, Program
from fixedpoint_nn.numerics.qformat import QFormat

Value = View | Expression | FixedArray


class Scope:
    """One program, or the body of a loop, on its way to kernels."""

    def __init__(self, assembly: Assembly, program: Program, prefix: Path = ()) -> None:
        self.assembly = assembly
        self.program = program
        self.prefix = prefix
        self.values: dict[int, Any] = {}
        self.targets: dict[int, Target] = {}
        self.blocks: dict[int, int] = {}  # of a sequence in rows: the words of one time step
        self.consumers = Consumers(program)
        self.rows = plan_rows(self)

    def run(self, *arguments: View) -> list[View]:
        """Lower every node; the views of the program's outputs."""
        waiting = iter(arguments)
        for place, node in enumerate(self.program.nodes):
            if node.op == "input":
                self.values[place] = next(waiting)
            elif place not in self.consumers.skipped:
                self.values[place] = self._lower(place, node)
        return [self.view(place) for place in self.program.outputs]

    def _lower(self, place: int, node: Node) -> Any:
        self.assembly.layer = self.consumers.name(place)
        try:
            value = self._value(place, node)
            if isinstance(value, Expression) and not self.consumers.may_wait(place):
                self.values[place] = value
                return self.view(place)
            return value
        except LoweringError as refusal:
            if self.prefix or str(refusal).startswith("Layer "):
                raise
            raise LoweringError(
                f"Layer {self.assembly.layer or node.op!r} does not fit the engine: it {refusal}."
            ) from None

    # ---- values in other forms -----------------------------------------------------------------------------

    def path(self, place: int) -> Path:
        return (*self.prefix, place)

    def view(self, place: int) -> View:
        """The value in memory; what waits is computed now."""
        value = self.values[place]
        if isinstance(value, FixedArray):
            return self.assembly.constant(value)
        if isinstance(value, Expression):
            self.assembly.layer = self.consumers.name(place)
            padded = self.consumers.needs_rows(place)
            value = self.assembly.emit(value, self.targets.get(place), self.path(place), padded)
            self.values[place] = value
        view: View = value
        return view

    def expression(self, place: int) -> Expression:
        value = self.values[place]
        if isinstance(value, Expression):
            return value
        if isinstance(value, FixedArray):
            return constant_expression(value, self.assembly)
        return stored(value)

    def sum(self, place: int) -> Expression:
        """As something that can be added to."""
        expression = self.expression(place)
        return expression if expression.is_sum else stored(self.view(place))

    # ---- operations ----------------------------------------------------------------------------------------

    def _value(self, place: int, node: Node) -> Any:
        if node.op == "constant":
            return node.value
        if node.op == "zeros":
            return FixedArray.from_ints(np.zeros(node.shape, np.int64), node.format)
        if (
            node.inputs
            and all(isinstance(self.values.get(i), FixedArray) for i in node.inputs)
            and node.op in VERBS
        ):
            return VERBS[node.op](*(self.values[i] for i in node.inputs), **node.attributes)
        handler: Callable[[Scope, int, Node], Any] | None = rules.HANDLERS.get(node.op)
        if handler is None:
            raise LoweringError(f"uses the verb {node.op!r}, which is not lowered")
        return handler(self, place, node)


def input_view(scope: Scope, assembly: Assembly, shape: Sequence[int], format: QFormat, place: int) -> View:
    """Where the host writes a sample."""
    target = scope.targets.get(place)
    if target is not None:
        block = target.stride, scope.blocks[place]
        axes = ((), (Atom(prod(shape) // block[1], block[0]), Atom(block[1], 1)))
        return View(target.buffer, target.offset, axes, format).reshape(shape)
    assembly.layer = "input"
    target, strides = assembly.target(shape, scope.consumers.needs_rows(place))
    return View(target.buffer, 0, dense_axes(shape, strides), format)
