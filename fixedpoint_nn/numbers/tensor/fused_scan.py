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
from fixedpoint_nn.numbers.tensor.loop_recorder import Do, LoopRecorder
from fixedpoint_nn.numbers.tensor.recorded_step import Operation, StepProgram
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native.elementwise import passed_where_positive
from fixedpoint_nn.numerics.overflow import Overflow

Write = Callable[[Array], object]  # records that a contribution to a gradient is written to an array
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
        do = LoopRecorder()
        for op in self.program.operations:
            self._record_value(op, do)
        memory = self.memory
        for number, place in enumerate(self.program.after):
            if memory.next_state.get(place) != number:
                do(np.positive, memory.values[place], out=memory.state_stacks[number][1:])
        do.run(range(self.steps))

    def _record_value(self, op: Operation, do: LoopRecorder) -> None:
        values = self.memory.values
        out, first = values[op.out], values[op.inputs[0]]
        fixed = op.setting if op.leaf is None else op.leaf.data
        match op.verb:
            case "view":
                pass
            case "dot":
                do(np.matmul, first, fixed, out=out)
                if len(op.inputs) > 1:
                    do(np.add, out, values[op.inputs[1]], out=out)
            case "add" | "sub" | "mul":
                do(_ARITHMETIC[op.verb], first, values[op.inputs[1]], out=out)
            case "add_leaf" | "sub_leaf" | "mul_leaf" | "shift" | "scale":
                do(_ARITHMETIC[op.verb], first, fixed, out=out)
            case "relu":
                do.call(lambda t: np.maximum(first[t], 0, out=out[t]))
            case "lookup":
                self._record_lookup(op, first, out, do)
            case _:
                do.call(self._cast(op, first, out))

    def _record_lookup(self, op: Operation, x: Array, out: Array, do: LoopRecorder) -> None:
        real, table = op.setting
        if table is None and real.recordable:
            real.value(x, out=out, do=do)
        elif table is None:
            do.call(lambda t: real.value(x[t], out=out[t]))
        else:
            exact = self.extra[op.out] = np.empty((self.steps, *out.shape[1:]), out.dtype)

            def look_up(t: int) -> None:
                real.value(x[t], out=exact[t])
                out[t] = table.on_floats(x[t])

            do.call(look_up)

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
        do = LoopRecorder()
        self._record_gradients(y, do)
        do.run(range(self.steps)[::-1])
        for op in self.program.operations:
            if op.leaf is not None and op.leaf.needs_gradient:
                op.leaf.add_gradient(self._leaf_gradient(op))
        return [gradient[0].copy() for gradient in states]

    def input_gradient(self, number: int) -> Array:
        """The gradient of input `number`, (time, batch, columns), after `backward`."""
        return self.memory.gradients[self.program.inputs[number]]

    def _record_gradients(self, y: Array, do: LoopRecorder) -> None:
        """The operations of the backward pass at one time step."""
        program, gradients = self.program, self.memory.gradients
        shared, states = self.memory.shared_gradients(), set(program.states)
        for place in shared - states:
            if not self.memory.is_view(place):  # it is cleared with the value that it views
                do.call(partial(_clear, gradients[place]))
        written = set(shared)
        self._share(program.y, np.moveaxis(y, 1, 0), written, do)
        for state, place in zip(program.states, program.after, strict=True):
            self._share(place, gradients[state], written, do)
        for state in {state for state in states if not self.memory.uses[state]} | (shared & states):
            do.call(partial(_clear, gradients[state]))
        for op in reversed(program.operations):
            for place, share in self._shares(op, do):
                if place not in self.memory.passed_on and place not in self.memory.constant:
                    self._share(place, share, written, do)

    def _share(self, place: int, share: Write | Array, written: set[int], do: LoopRecorder) -> None:
        """Record a contribution to a gradient: the first one is written, later ones are added.

        A contribution that is an array of all time steps is added without a copy.
        """
        gradient = self.memory.gradients[place]
        if place not in written:
            written.add(place)
            if isinstance(share, np.ndarray):
                do(np.positive, share, out=gradient)
            else:
                share(gradient)
            return
        if not isinstance(share, np.ndarray):
            share = do.passing(self.memory.temporary(gradient.shape[2]), share)
        do(np.add, gradient, share, out=gradient)

    def _shares(self, op: Operation, do: LoopRecorder) -> Iterator[tuple[int, Write | Array]]:
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
                yield first, lambda out: do(np.matmul, g, turned, out=out)
                yield from ((place, g) for place in more)
            case "add":
                yield first, g
                yield more[0], g
            case "sub":
                yield first, g
                yield more[0], lambda out: do(np.negative, g, out=out)
            case "mul":
                a, b = values[first], values[more[0]]
                yield first, lambda out: do(np.multiply, g, b, out=out)
                yield more[0], lambda out: do(np.multiply, g, a, out=out)
            case "mul_leaf" | "scale":
                factor = op.setting if leaf is None else leaf
                yield first, lambda out: do(np.multiply, g, factor, out=out)
            case "shift" | "add_leaf" | "sub_leaf":
                yield first, g
            case "relu":
                yield first, lambda out: do(passed_where_positive, g, values[op.out], out=out)
            case "lookup":
                y = self.extra.get(op.out, values[op.out])
                yield first, lambda out: self._record_slope(op.setting[0], y, g, out, do)
            case _:
                inside = self.extra[op.out]
                yield first, lambda out: do.call(lambda t: np.multiply(g[t], inside[t], out=out[t]))

    def _record_slope(self, function: Function, y: Array, g: Array, out: Array, do: LoopRecorder) -> None:
        """Record out = g times the derivative of the function where its value is y."""
        derivative = function.slope
        assert derivative is not None  # a recorded step has no other functions

        def record(slope: Array) -> None:
            if function.recordable:
                derivative(y, out=slope, do=do)
            else:
                do.call(lambda t: derivative(y[t], out=slope[t]))

        do(np.multiply, g, do.passing(self.memory.temporary(out.shape[2]), record), out=out)

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


def _clear(gradient: Array, t: int) -> None:
    gradient[t] = 0
