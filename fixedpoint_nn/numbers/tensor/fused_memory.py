# SPDX-License-Identifier: MIT
"""Memory of a fused loop: which values are kept for every time step, and which share memory.

The first axis of every array is time. An array that no later step needs has a stride of 0 there: all steps write to the
same memory, which stays in the cache.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from fixedpoint_nn.numbers import reused_memory
from fixedpoint_nn.numbers.tensor.recorded_step import Operation, StepProgram
from fixedpoint_nn.numerics.arrays import Array

PASSES_ON = (
    "add",
    "sub",
    "shift",
    "add_leaf",
    "sub_leaf",
)  # the gradient of the first operand is the result's


class FusedMemory:
    """The arrays of values and gradients, (steps, rows, columns), by place (number of the value)."""

    def __init__(self, program: StepProgram, inputs: Sequence[Array]) -> None:
        self.program, self.inputs = program, inputs
        self.steps, self.rows = inputs[0].shape[:2]
        self.uses = Counter(place for op in program.operations for place in op.inputs)
        self.uses += Counter((program.y, *program.after))
        self.made_by = {op.out: op for op in program.operations}
        self.views: dict[int, list[Operation]] = defaultdict(list)
        for op in program.operations:
            if op.verb == "view":
                self.views[op.inputs[0]].append(op)
        self.constant = {place for place in program.inputs if place not in program.wanted}
        self.kept = self._read_by_gradients()
        self.next_state = self._next_states()
        self.state_stacks = tuple(
            reused_memory.empty((self.steps + 1, self.rows, program.widths[place]), program.dtype)
            for place in program.states
        )
        self.memory_of = self._shared()
        self.values = self._values()
        self.passed_on = self._passed_on()
        self.gradients = self._gradients()

    def _read_by_gradients(self) -> set[int]:
        kept = {self.program.y}
        for op in self.program.operations:
            if op.verb in ("mul", "dot"):
                kept.update(op.inputs if op.verb == "mul" else op.inputs[:1])
            elif op.verb == "mul_leaf":
                kept.add(op.inputs[0])
            elif op.verb in ("lookup", "relu"):
                kept.add(op.out)
        return kept

    def _next_states(self) -> dict[int, int]:
        """Places that are written directly to a state's array; other next states are copied there."""
        found: dict[int, int] = {}
        for number, place in enumerate(self.program.after):
            if place not in found and self.made_by[place].verb != "view":
                found[place] = number
        return found

    # ---- values ----------------------------------------------------------------------------

    def _disjoint(self, base: int) -> bool:
        """Whether `base` is read only through views that do not overlap."""
        spans = sorted((op.setting, op.setting + self.program.widths[op.out]) for op in self.views[base])
        return len(spans) == self.uses[base] and all(end <= start for (_, end), (start, _) in pairwise(spans))

    def _reusable(self, place: int) -> bool:
        """Whether the only operation that reads the value may overwrite it with its result."""
        if place in self.kept or self.uses[place] != 1 or place not in self.made_by:
            return False
        if not self.is_view(place):
            return place not in self.next_state
        base = self.made_by[place].inputs[0]
        return self._disjoint(base) and base not in self.kept and base in self.made_by

    def _shared(self) -> dict[int, int]:
        """For each place the place whose memory it uses, itself if it has its own."""
        shared: dict[int, int] = {}
        for op in self.program.operations:
            if op.verb in ("dot", "view") or op.out in self.next_state:
                continue
            for place in op.inputs:
                if self._reusable(place):
                    shared[op.out] = place
                    break
        return shared

    def _values(self) -> list[Array]:
        program = self.program
        roots: dict[int, int] = {}
        for place in range(len(program.widths)):
            if self.is_view(place):
                roots[place] = roots[self.made_by[place].inputs[0]]
            else:
                roots[place] = roots[self.memory_of[place]] if place in self.memory_of else place
        stacked = {roots[place] for place in self.kept}
        values: list[Array] = []
        for place, width in enumerate(program.widths):
            if self.is_view(place):
                op = self.made_by[place]
                values.append(values[op.inputs[0]][..., op.setting : op.setting + width])
            elif place in self.memory_of:
                values.append(values[self.memory_of[place]])
            elif place in program.states:
                values.append(self.state_stacks[program.states.index(place)][:-1])
            elif place in self.next_state:
                values.append(self.state_stacks[self.next_state[place]][1:])
            elif place in program.inputs:
                values.append(self.inputs[program.inputs.index(place)])
            else:
                values.append(self._array(width, place in stacked))
        return values

    def _array(self, width: int, stacked: bool) -> Array:
        if stacked:
            return reused_memory.empty((self.steps, self.rows, width), self.program.dtype)
        one = np.zeros((self.rows, width), self.program.dtype)
        return np.lib.stride_tricks.as_strided(one, (self.steps, *one.shape), (0, *one.strides))

    def temporary(self, width: int) -> Array:
        """An array (steps, rows, width) for values that one operation passes to the next."""
        return self._array(width, stacked=False)

    # ---- gradients -------------------------------------------------------------------------

    def _passed_on(self) -> dict[int, int]:
        """Places whose gradient is equal to that of their only result."""
        passed: dict[int, int] = {}
        for op in self.program.operations:
            sources = op.inputs[1:] if op.verb == "dot" else op.inputs[:1] if op.verb in PASSES_ON else ()
            sources = op.inputs if op.verb == "add" else sources
            for place in sources:
                alone = self.uses[place] == 1 and place not in self.program.states
                if alone and not self.is_view(place):
                    passed[place] = op.out
        return passed

    def _gradients(self) -> list[Array]:
        program = self.program
        stacked = set(program.inputs) - self.constant
        for op in program.operations:
            if op.leaf is not None and op.leaf.needs_gradient:
                stacked.add(op.out)
        whole = {self._gradient_root(place) for place in stacked}
        made: dict[int, Array] = {}
        return [self._gradient(place, whole, made) for place in range(len(program.widths))]

    def _gradient_root(self, place: int) -> int:
        """The place whose memory holds the gradient of `place`."""
        if place in self.passed_on:
            return self._gradient_root(self.passed_on[place])
        return self._gradient_root(self.made_by[place].inputs[0]) if self.is_view(place) else place

    def _gradient(self, place: int, whole: set[int], made: dict[int, Array]) -> Array:
        """The gradient's array; `made` gets the new ones, and those in `whole` keep all time steps."""
        if place in self.passed_on:
            return self._gradient(self.passed_on[place], whole, made)
        width = self.program.widths[place]
        if self.is_view(place):
            op = self.made_by[place]
            return self._gradient(op.inputs[0], whole, made)[..., op.setting : op.setting + width]
        if place not in made:
            made[place] = self._array(width, place in whole)
        return made[place]

    def shared_gradients(self) -> set[int]:
        """Places whose gradients must be cleared before contributions are added.

        These are values read both as a whole and by views, or by views that overlap or omit columns; and these views.
        """
        shared: set[int] = set()
        for base, views in self.views.items():
            widths = sum(self.program.widths[op.out] for op in views)
            if base in shared or not self._disjoint(base) or widths != self.program.widths[base]:
                shared |= {base, *(op.out for op in views)}
        return shared

    def is_view(self, place: int) -> bool:
        """Whether the value is a view of columns of another one."""
        return place in self.made_by and self.made_by[place].verb == "view"
