# SPDX-License-Identifier: MIT
"""Models that keep variables between calls: every variable becomes an input and an output of the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite.model import State, TfliteModel, TfliteOperator, TfliteTensor
from fixedpoint_nn.numerics.arrays import Array

HANDLED = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def without_variables(model: TfliteModel) -> TfliteModel:
    """The model with its variables as further inputs and outputs, in the order of their first use; raises Unsuited."""
    if not any(operator.kind in HANDLED for operator in model.operators):
        return model
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
    states = []
    for name, first in read.items():
        _alike(name, model.tensors[first], model.tensors[now[name]])
        if name not in initial or initial[name].shape != model.tensors[first].shape:
            raise Unsuited(f"reads the variable {name!r}, which nothing sets before the first call")
        states.append(State(name, first, now[name], initial[name]))
    return replace(
        model,
        operators=tuple(kept),
        inputs=(*model.inputs, *(state.read for state in states)),
        outputs=(*(same.get(place, place) for place in model.outputs), *(state.stored for state in states)),
        states=tuple(states),
    )


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
