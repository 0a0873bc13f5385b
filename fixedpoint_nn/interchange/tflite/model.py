# SPDX-License-Identifier: MIT
"""A TFLite model as plain Python: tensors, and operators in order of execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array

KEPT = (
    "CALL_ONCE",
    "VAR_HANDLE",
    "ASSIGN_VARIABLE",
)  # whatever the outputs are: a variable is an output, too


@dataclass(frozen=True)
class TfliteTensor:
    """A tensor: shape, type, scales and zero points (empty: not quantised), and data if it is a constant."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    axis: int
    data: Array | None
    variable: bool

    @property
    def scale(self) -> float:
        """The scale of the whole tensor, its float32 as a double, as in TFLite."""
        return self.scales[0]

    @property
    def zero(self) -> int:
        """The zero point of the whole tensor."""
        return self.zeros[0] if self.zeros else 0

    @property
    def codes(self) -> tuple[int, int]:
        """(lowest, highest) integer of the type."""
        about = np.iinfo(self.dtype)
        return int(about.min), int(about.max)

    @property
    def centred(self) -> tuple[int, int]:
        """(lowest, highest) integer of the type, minus the zero point."""
        low, high = self.codes
        return low - self.zero, high - self.zero


@dataclass(frozen=True)
class TfliteOperator:
    """One operator; -1 is an omitted input."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    intermediates: tuple[int, ...]


@dataclass(frozen=True)
class State:
    """A variable: the tensor that is read in a call, the one that is stored, and the data before the first call."""

    name: str
    read: int
    stored: int
    initial: Array


@dataclass(frozen=True)
class TfliteModel:
    """The main graph of a file, and the graphs that it calls once, before its first use.

    `states` are variables that `without_variables` made the last inputs and outputs of.
    """

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    first: tuple[TfliteModel, ...] = ()
    states: tuple[State, ...] = ()

    def only(self, outputs: Sequence[str] | None) -> TfliteModel:
        """The model reduced to these outputs, which may be tensors inside of it, or to its own outputs for None."""
        if outputs is None:
            return self
        computed = {
            self.tensors[place].name: place
            for operator in self.operators
            for place in operator.outputs
            if place != -1
        }
        for name in outputs:
            if name not in computed:
                own = ", ".join(self.tensors[place].name for place in self.outputs)
                raise ValueError(f"the model computes no tensor {name!r}; its outputs are {own}")
        places = tuple(computed[name] for name in outputs)
        return replace(self, outputs=places).with_needed(self.operators)

    def with_needed(self, operators: Sequence[TfliteOperator]) -> TfliteModel:
        """The model with those of these operators that its outputs need."""
        needed, kept = set(self.outputs), []
        for operator in reversed(operators):
            if needed.intersection(operator.outputs) or operator.kind in KEPT:
                needed.update(operator.inputs)
                kept.append(operator)
        return replace(self, operators=tuple(kept[::-1]))

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each input, those of variables included."""
        outside = self.inputs[: len(self.inputs) - len(self.states)]
        return (*(self.tensors[place].name for place in outside), *(state.name for state in self.states))
