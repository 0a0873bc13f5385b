# SPDX-License-Identifier: MIT
"""Models that keep variables between calls: every variable becomes an input and an output of the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite.model import State, TfliteModel, TfliteOperator, TfliteTensor
from fixedpoint_nn.numerics.arrays import Array

REMEMBERS, MEMORY = "SVDF", 4  # an operator whose input of this place is a variable
HANDLED = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def without_variables(model: TfliteModel) -> TfliteModel:
    """The model with its variables as further inputs and outputs, in the order of their first use; raises Unsuited."""
    if not any(operator.kind in (*HANDLED, REMEMBERS) for operator in model.operators):
        return model
    tensors = list(model.tensors)
    initial = dict(pair for graph in model.first for pair in _assigned_once(graph))
    handles: dict[int, str] = {}
    read: dict[str, int] = {}  # of each variable, the tensor of its first reading
    now: dict[str, int] = {}  # the tensor that it holds
    same: dict[int, int] = {}  # later readings, and what they read
    kept: list[TfliteOperator] = []
    for operator in model.operators:
        if operator.kind == "CALL_ONCE":
            continue
        if operator.kind == "VAR_HANDLE":
            handles[_only(operator, operator.outputs)] = _name(operator)
        elif operator.kind == "READ_VARIABLE":
            name, result = _variable(operator, handles), _only(operator, operator.outputs)
            if name in now:
                same[result] = now[name]
                _alike(name, model.tensors[now[name]], model.tensors[result])
            else:
                read[name] = now[name] = result
        elif operator.kind == "ASSIGN_VARIABLE":
            if len(operator.inputs) != 2:
                raise Unsuited(f"has {len(operator.inputs)} inputs, and a variable is assigned one value")
            now[_variable(operator, handles)] = same.get(operator.inputs[1], operator.inputs[1])
        else:
            inputs = tuple(same.get(place, place) for place in operator.inputs)
            kept.append(replace(operator, inputs=inputs))
            if operator.kind == REMEMBERS:
                kept[-1] = _remembering(kept[-1], tensors)
    states = [_state_of(operator, tensors) for operator in kept if operator.kind == REMEMBERS]
    for name, first in read.items():
        _alike(name, model.tensors[first], model.tensors[now[name]])
        if name not in initial or initial[name].shape != model.tensors[first].shape:
            raise Unsuited(f"reads the variable {name!r}, which nothing sets before the first call")
        states.append(State(name, first, now[name], initial[name]))
    return replace(
        model,
        tensors=tuple(tensors),
        operators=tuple(kept),
        inputs=(*model.inputs, *(state.read for state in states)),
        outputs=(*(same.get(place, place) for place in model.outputs), *(state.stored for state in states)),
        states=tuple(states),
    )


def _remembering(operator: TfliteOperator, tensors: list[TfliteTensor]) -> TfliteOperator:
    """The operator with what its variable holds afterwards as one more output."""
    if len(operator.inputs) <= MEMORY or operator.inputs[MEMORY] == -1:
        raise Unsuited(f"has the {operator.kind} {operator.index} without a state")
    before = tensors[operator.inputs[MEMORY]]
    tensors.append(replace(before, index=len(tensors), name=f"{before.name} after", variable=False))
    return replace(operator, outputs=(*operator.outputs, len(tensors) - 1))


def _state_of(operator: TfliteOperator, tensors: list[TfliteTensor]) -> State:
    """The variable of such an operator, which is zero before the first call."""
    before = tensors[operator.inputs[MEMORY]]
    if before.dtype not in ("int8", "int16"):
        raise Unsuited(f"has the variable {before.name!r} of {before.dtype}")
    return State(before.name, before.index, operator.outputs[-1], np.zeros(before.shape, before.dtype))


def _assigned_once(graph: TfliteModel) -> Iterator[tuple[str, Array]]:
    """(name, data) of each variable that a graph of constants sets."""
    handles: dict[int, str] = {}
    for operator in graph.operators:
        if operator.kind == "VAR_HANDLE":
            handles[_only(operator, operator.outputs)] = _name(operator)
        elif operator.kind == "ASSIGN_VARIABLE" and len(operator.inputs) == 2:
            data = graph.tensors[operator.inputs[1]].data
            if data is not None:
                yield _variable(operator, handles), data


def _name(operator: TfliteOperator) -> str:
    shared = operator.options["SharedName"]
    text = shared.decode("utf-8", "replace") if isinstance(shared, bytes) else str(shared)
    return (
        "".join(letter if letter.isprintable() else "?" for letter in text)[:80]
        or f"variable {operator.index}"
    )


def _only(operator: TfliteOperator, places: tuple[int, ...]) -> int:
    if len(places) != 1:
        raise Unsuited(f"has {len(places)} outputs, and one is supported")
    return places[0]


def _variable(operator: TfliteOperator, handles: dict[int, str]) -> str:
    if not operator.inputs or operator.inputs[0] not in handles:
        raise Unsuited("names a variable by something else than a VAR_HANDLE")
    return handles[operator.inputs[0]]


def _alike(name: str, one: TfliteTensor, other: TfliteTensor) -> None:
    about = [(tensor.shape, tensor.dtype, tensor.scales, tensor.zeros) for tensor in (one, other)]
    if about[0] != about[1]:
        raise Unsuited(
            f"has the variable {name!r} of {one.dtype} {one.shape} read and {other.dtype} {other.shape} stored, "
            "with different shapes or scales"
        )
