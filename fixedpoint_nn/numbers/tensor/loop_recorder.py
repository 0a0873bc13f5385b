# SPDX-License-Identifier: MIT
"""The operations of one time step of a loop, recorded once and run for every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native.elementwise import FUNCTIONS, ElementwiseChain, ElementwiseStep

Do = Callable[[int], object]  # an operation at time step t


class LoopRecorder:
    """Called as a function of NumPy would be, with arrays whose first axis is time, it records the call for each step.

    Operations element by element that follow each other become one chain.
    """

    def __init__(self) -> None:
        self._items: list[Do | ElementwiseStep] = []
        self._passing: set[int] = set()  # arrays that only neighbours in a chain write and read, by id

    def __call__(self, function: Callable[..., Any], *operands: Array | float, out: Array) -> Array:
        """Record out[t] = function(*operands[t]); vectors of columns and numbers are the same at every step."""
        if function in FUNCTIONS:
            self._items.append(ElementwiseStep(function, out, tuple(_like(out, each) for each in operands)))
        else:
            arrays = [np.asarray(each) for each in operands]
            self.call(lambda t: function(*(a[t] if a.ndim == 3 else a for a in arrays), out=out[t]))
        return out

    def call(self, do: Do) -> None:
        """Record a call of `do(t)`."""
        self._items.append(do)

    def passing(self, array: Array, record: Callable[[Array], object]) -> Array:
        """Let `record` record what writes the array, which only the next operation element by element may read."""
        start = len(self._items)
        record(array)
        if all(isinstance(item, ElementwiseStep) for item in self._items[start:]):
            self._passing.add(id(array))
        return array

    def run(self, times: range) -> None:
        """Run all operations at each of these time steps."""
        todo: list[Do] = []
        chain: list[ElementwiseStep] = []
        for item in [*self._items, None]:
            if isinstance(item, ElementwiseStep):
                chain.append(item)
                continue
            if chain:
                todo.append(ElementwiseChain(chain, self._passing))
                chain = []
            if item is not None:
                todo.append(item)
        for t in times:
            for do in todo:
                do(t)


def _like(out: Array, operand: Array | float) -> Array:
    """The operand in the shape of `out`."""
    if isinstance(operand, np.ndarray) and operand.shape == out.shape:
        return operand
    return np.broadcast_to(np.asarray(operand, out.dtype), out.shape)
