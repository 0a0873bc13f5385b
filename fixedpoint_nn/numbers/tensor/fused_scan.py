# SPDX-License-Identifier: MIT
"""A recurrent loop and its gradient as one operation of the tape.

The step is recorded once (`recorded_step`) and repeated without Python objects per value: results go to preallocated
memory (`fused_memory`), and a weight's gradient is one product over all time steps. Values are bit-identical to those
on the tape; gradients are summed in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from fixedpoint_nn.numbers import reused_memory
from fixedpoint_nn.numbers.functions import Function
from fixedpoint_nn.numbers.tensor import channels
from fixedpoint_nn.numbers.tensor.fused_memory import FusedMemory
from fixedpoint_nn.numbers.tensor.recorded_step import Operation, StepProgram
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow import Overflow

Do = Callable[[int], object]  # an operation at time step t
Write = Callable[[int, Array], object]  # writes a contribution to a gradient at time step t to an array
_ARITHMETIC = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "add_leaf": np.add,
    "sub_leaf": np.subtract,
    "mul_leaf": np.multiply,
    "shift": np.add,
    "scale": np.multiply,
}


class FusedScan:
    """The loop over inputs (time, batch, columns) from initial states (batch, columns)."""

    def __init__(self, program: StepProgram, inputs: Sequence[Array], states: Sequence[Array]) -> None:
        self.steps = len(inputs[0])
        self.program = program
        self.memory = FusedMemory(program, inputs)
        for stack, first in zip(self.memory.state_stacks, states, strict=True):
            stack[0] = first
        self.extra: dict[int, Array] = {}  # additional values that an operation keeps, by place
        self._forward()

    @property
    def y(self) -> Array:
        """The outputs, (batch, time, columns)."""
        by_batch = np.moveaxis(self.memory.values[self.program.y], 0, 1)
        y = reused_memory.empty(by_batch.shape, by_batch.dtype)
        np.copyto(y, by_batch)
        return y

    def last(self, number: int) -> Array:
        """The final value of state `number`, (batch, columns)."""
        last: Array = self.memory.state_stacks[number][-1].copy()
        return last

    # ---- values ----------------------------------------------------------------------------

    def _forward(self) -> None:
        todo = [do for op in self.program.operations if (do := self._value(op)) is not None]
        todo += self._copied_states()
        for t in range(self.steps):
            for do in todo:
                do(t)

    def _copied_states(self) -> Iterator[Do]:
        memory = self.memory
        for number, place in enumerate(self.program.after):
            if memory.next_state.get(place) != number:
                yield partial(_copy_at, memory.values[place], memory.state_stacks[number][1:])

    def _value(self, op: Operation) -> Do | None:
        values = self.memory.values
        out, first = values[op.out], values[op.inputs[0]]
        second = values[op.inputs[1]] if len(op.inputs) > 1 else None
        fixed = op.setting if op.leaf is None else op.leaf.data
        match op.verb:
            case "view":
                return None
            case "dot":
                return _product(first, fixed, second, out)
            case "add" | "sub" | "mul":
                assert second is not None
                function = _ARITHMETIC[op.verb]
                return lambda t: function(first[t], second[t], out=out[t])
            case "add_leaf" | "sub_leaf" | "mul_leaf" | "shift" | "scale":
                function = _ARITHMETIC[op.verb]
                return lambda t: function(first[t], fixed, out=out[t])
            case "relu":
                return lambda t: np.maximum(first[t], 0, out=out[t])
            case "lookup":
                return self._lookup(op, first, out)
            case _:
                return self._cast(op, first, out)

    def _lookup(self, op: Operation, x: Array, out: Array) -> Do:
        real, table = op.setting
        if table is None:
            return lambda t: real.value(x[t], out=out[t])
        exact = self.extra[op.out] = np.empty((self.steps, *out.shape[1:]), out.dtype)

        def look_up(t: int) -> None:
            real.value(x[t], out=exact[t])
            out[t] = table.on_floats(x[t])

        return look_up

    def _cast(self, op: Operation, x: Array, out: Array) -> Do:
        quantizer = op.setting
        inside = self.extra[op.out] = np.ones((self.steps, *out.shape[1:]), np.bool_)

        def cast(t: int) -> None:
            rounded = quantizer.round_floats(x[t])
            if quantizer.overflow is not Overflow.WRAP:
                np.less_equal(np.abs(rounded - x[t]), quantizer.step, out=inside[t])
            out[t] = rounded

        return cast

    # ---- gradients -------------------------------------------------------------------------

    def backward(self, y: Array, last: Sequence[Array | None]) -> list[Array]:
        """The gradients of the initial states, from those of outputs and final states; leaves accumulate theirs."""
        states = [self.memory.gradients[place] for place in self.program.states]
        for gradient, given in zip(states, last, strict=True):
            gradient[-1] = 0 if given is None else given
        todo = self._gradient_of_a_step(y)
        for t in reversed(range(self.steps)):
            for do in todo:
                do(t)
        for op in self.program.operations:
            if op.leaf is not None and op.leaf.needs_gradient:
                op.leaf.add_gradient(self._leaf_gradient(op))
        return [gradient[0].copy() for gradient in states]

    def input_gradient(self, number: int) -> Array:
        """The gradient of input `number`, (time, batch, columns), after `backward`."""
        return self.memory.gradients[self.program.inputs[number]]

    def _gradient_of_a_step(self, y: Array) -> list[Do]:
        """The operations of the backward pass at one time step."""
        program, gradients = self.program, self.memory.gradients
        shared, states = self.memory.shared_gradients(), set(program.states)
        todo: list[Do] = [
            partial(_clear, gradients[place])
            for place in shared - states
            if not self.memory.is_view(place)  # cleared with the value that it views
        ]
        written = set(shared)
        todo.append(self._share(program.y, np.moveaxis(y, 1, 0), written))
        for state, place in zip(program.states, program.after, strict=True):
            todo.append(self._share(place, gradients[state], written))
        unread = {state for state in states if not self.memory.uses[state]}
        todo += [partial(_clear, gradients[state]) for state in unread | (shared & states)]
        for op in reversed(program.operations):
            for place, write in self._shares(op):
                if place not in self.memory.passed_on and place not in self.memory.constant:
                    todo.append(self._share(place, write, written))
        return todo

    def _share(self, place: int, write: Write | Array, written: set[int]) -> Do:
        """The operation for a contribution to a gradient: the first one writes, later ones add.

        A contribution that is an array of all time steps is added without a copy.
        """
        gradient = self.memory.gradients[place]
        if place not in written:
            written.add(place)
            if isinstance(write, np.ndarray):
                return lambda t: np.copyto(gradient[t], write[t])
            return lambda t: write(t, gradient[t])
        if isinstance(write, np.ndarray):
            return lambda t: np.add(gradient[t], write[t], out=gradient[t])
        share = np.empty(gradient.shape[1:], gradient.dtype)

        def add(t: int) -> None:
            write(t, share)
            np.add(gradient[t], share, out=gradient[t])

        return add

    def _shares(self, op: Operation) -> Iterator[tuple[int, Write | Array]]:
        """(operand, its contribution to the gradient) of an operation."""
        values, g = self.memory.values, self.memory.gradients[op.out]
        first, *more = op.inputs
        leaf = None if op.leaf is None else op.leaf.data
        match op.verb:
            case "view":
                pass
            case "dot":
                assert leaf is not None
                turned = np.ascontiguousarray(leaf.T)
                yield first, lambda t, out: np.matmul(g[t], turned, out=out)
                yield from ((place, g) for place in more)
            case "add":
                yield first, g
                yield more[0], g
            case "sub":
                yield first, g
                yield more[0], lambda t, out: np.negative(g[t], out=out)
            case "mul":
                a, b = values[first], values[more[0]]
                yield first, lambda t, out: np.multiply(g[t], b[t], out=out)
                yield more[0], lambda t, out: np.multiply(g[t], a[t], out=out)
            case "mul_leaf" | "scale":
                factor = op.setting if leaf is None else leaf
                yield first, lambda t, out: np.multiply(g[t], factor, out=out)
            case "shift" | "add_leaf" | "sub_leaf":
                yield first, g
            case "relu":
                y = values[op.out]
                yield first, lambda t, out: np.multiply(g[t], y[t] > 0, out=out)
            case "lookup":
                yield first, _through(op.setting[0], self.extra.get(op.out, values[op.out]), g)
            case _:
                inside = self.extra[op.out]
                yield first, lambda t, out: np.multiply(g[t], inside[t], out=out)

    def _leaf_gradient(self, op: Operation) -> Array:
        """A leaf's gradient, summed over all time steps."""
        g, x = self.memory.gradients[op.out], self.memory.values[op.inputs[0]]
        if op.verb == "dot":
            rows = x.reshape(-1, x.shape[-1])
            gradient: Array = rows.T @ g.reshape(-1, g.shape[-1])
            return gradient
        if op.verb == "mul_leaf":
            return channels.dots(g, x)
        total = channels.sums(g)
        return -total if op.verb == "sub_leaf" else total


def _product(x: Array, weights: Array, initial: Array | None, out: Array) -> Do:
    if initial is None:
        return lambda t: np.matmul(x[t], weights, out=out[t])

    def multiply(t: int) -> None:
        np.matmul(x[t], weights, out=out[t])
        np.add(out[t], initial[t], out=out[t])

    return multiply


def _through(function: Function, y: Array, g: Array) -> Write:
    slope, derivative = np.empty(y.shape[1:], y.dtype), function.slope
    assert derivative is not None  # a recorded step has no other functions

    def write(t: int, out: Array) -> None:
        np.multiply(g[t], derivative(y[t], out=slope), out=out)

    return write


def _copy_at(source: Array, target: Array, t: int) -> None:
    target[t] = source[t]


def _clear(gradient: Array, t: int) -> None:
    gradient[t] = 0
