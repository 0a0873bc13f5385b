# SPDX-License-Identifier: MIT
"""Values whose first axis is no batch, such as the rows of a sequence: they get a batch of 1 before their axes.

A file computes one sample at a time, so all of a value belongs to it, and one more axis of length 1 changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fixedpoint_nn.interchange.tflite.model import TfliteModel, TfliteOperator, TfliteTensor
from fixedpoint_nn.interchange.tflite.step import TYPES
from fixedpoint_nn.numerics.arrays import Ints

SHAPED = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")  # whose result has the declared shape, whatever comes in


def with_leading_axes(model: TfliteModel) -> TfliteModel:
    """The model in which every computed value has a first axis of 1."""
    tensors = list(model.tensors)
    longer = _longer(model)
    if not longer:
        return model
    for place in longer:
        tensors[place] = replace(tensors[place], shape=(1, *tensors[place].shape))
    operators: list[TfliteOperator] = []
    for operator in model.operators:
        adapt = ADAPTED.get(operator.kind)
        if adapt is not None and longer.intersection((*operator.inputs, *operator.outputs)):
            operator = adapt(operator, tensors)
        elif operator.kind in OF_TWO:
            operator = _of_equal_axes(operator, tensors, operators)
        operators.append(operator)
    return replace(model, tensors=tuple(tensors), operators=tuple(operators))


def _of_equal_axes(
    operator: TfliteOperator, tensors: list[TfliteTensor], before: list[TfliteOperator]
) -> TfliteOperator:
    """An operator of two values, the shorter of which gets axes of 1 behind its first one by a RESHAPE before it."""
    shapes = [tensors[place].shape for place in operator.inputs]
    if not all(_computes(tensors[place]) for place in operator.inputs) or len(shapes[0]) == len(shapes[1]):
        return operator
    side = int(len(shapes[1]) < len(shapes[0]))
    short = tensors[operator.inputs[side]]
    if short.shape[:1] != (1,):
        return operator
    missing = len(shapes[1 - side]) - len(short.shape)
    spread = replace(short, index=len(tensors), shape=(1, *[1] * missing, *short.shape[1:]))
    tensors.append(spread)
    before.append(
        replace(operator, kind="RESHAPE", inputs=(short.index,), outputs=(spread.index,), options={})
    )
    inputs = [*operator.inputs]
    inputs[side] = spread.index
    return replace(operator, inputs=tuple(inputs))


def _longer(model: TfliteModel) -> set[int]:
    """The computed tensors that get one more axis."""
    found: set[int] = set()
    values = {place for place in model.inputs if _computes(model.tensors[place])}
    for operator in model.operators:
        given = [place for place in operator.inputs if place in values]
        if not given:  # constants, such as weights of 16 bits that become floats
            continue
        most = max(len(model.tensors[place].shape) for place in given)
        largest = [place for place in given if len(model.tensors[place].shape) == most]
        follows = operator.kind not in SHAPED and found.issuperset(largest)
        for place in operator.outputs:
            if place == -1 or not _computes(model.tensors[place]):
                continue
            values.add(place)
            if follows or model.tensors[place].shape[:1] != (1,):
                found.add(place)
    return found


def _computes(tensor: TfliteTensor) -> bool:
    """Whether a tensor is floats, or codes with a scale."""
    return tensor.data is None and (
        tensor.dtype == "float32" or (tensor.dtype in TYPES and bool(tensor.scales))
    )


def _later_axis(operator: TfliteOperator, tensors: list[TfliteTensor]) -> TfliteOperator:
    """An axis in the options."""
    axis = operator.options["Axis"]
    return replace(operator, options={**operator.options, "Axis": axis + (axis >= 0)})


def _with_constants(
    change: Callable[[Ints], Ints], *places: int
) -> Callable[[TfliteOperator, list[TfliteTensor]], TfliteOperator]:
    """A change of the constants at some inputs, which are axes or have an entry for each axis."""

    def adapt(operator: TfliteOperator, tensors: list[TfliteTensor]) -> TfliteOperator:
        inputs = list(operator.inputs)
        for place in places:
            known = tensors[inputs[place]] if place < len(inputs) and inputs[place] != -1 else None
            if known is None or known.data is None or known.data.dtype.kind != "i":
                continue
            data = change(known.data)
            inputs[place] = len(tensors)
            tensors.append(replace(known, index=len(tensors), shape=data.shape, data=data))
        return replace(operator, inputs=tuple(inputs))

    return adapt


def _axes(data: Ints) -> Ints:
    return data + (data >= 0)


def _before(*entry: int) -> Callable[[Ints], Ints]:
    def change(data: Ints) -> Ints:
        first = np.array(entry, data.dtype).reshape(1, *data.shape[1:])
        return np.concatenate([first, data])

    return change


def _order(data: Ints) -> Ints:
    return np.concatenate([np.zeros(1, data.dtype), data + 1])


def _strided(operator: TfliteOperator, tensors: list[TfliteTensor]) -> TfliteOperator:
    """STRIDED_SLICE: all of the new axis."""
    made = _with_constants(_before(0), 1)(operator, tensors)
    made = _with_constants(_before(1), 2, 3)(made, tensors)
    masks = {name: made.options[f"{name}Mask"] << 1 for name in ("Begin", "End", "ShrinkAxis")}
    masks["Begin"], masks["End"] = masks["Begin"] | 1, masks["End"] | 1
    return replace(made, options={**made.options, **{f"{name}Mask": mask for name, mask in masks.items()}})


def _sliced(operator: TfliteOperator, tensors: list[TfliteTensor]) -> TfliteOperator:
    """SLICE: all of the new axis."""
    made = _with_constants(_before(0), 1)(operator, tensors)
    return _with_constants(_before(1), 2)(made, tensors)


OF_TWO = "ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SQUARED_DIFFERENCE", "SUB"

ADAPTED: dict[str, Callable[[TfliteOperator, list[TfliteTensor]], TfliteOperator]] = {
    "CONCATENATION": _later_axis,
    "GATHER": _later_axis,
    "MEAN": _with_constants(_axes, 1),
    "MIRROR_PAD": _with_constants(_before(0, 0), 1),
    "PACK": _later_axis,
    "PAD": _with_constants(_before(0, 0), 1),
    "PADV2": _with_constants(_before(0, 0), 1),
    "REDUCE_MAX": _with_constants(_axes, 1),
    "REDUCE_MIN": _with_constants(_axes, 1),
    "REVERSE_V2": _with_constants(_axes, 1),
    "SLICE": _sliced,
    "SPLIT": _with_constants(_axes, 0),
    "SPLIT_V": _with_constants(_axes, 2),
    "STRIDED_SLICE": _strided,
    "SUM": _with_constants(_axes, 1),
    "TILE": _with_constants(_before(1), 1),
    "TRANSPOSE": _with_constants(_order, 1),
    "UNPACK": _later_axis,
}
