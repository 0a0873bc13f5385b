# SPDX-License-Identifier: MIT
"""Sizes that a file computes from shapes, which it declares: constants in the place of SHAPE and what follows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.tflite.model import TfliteModel, TfliteOperator, TfliteTensor
from fixedpoint_nn.numerics.arrays import Array

MOST_SIZES = 1 << 12  # elements of a tensor of sizes
WHOLE = ("int32", "int64")
Evaluate = Callable[[Mapping[str, Any], list[Array]], Any]


def with_known_sizes(model: TfliteModel) -> TfliteModel:
    """The model without the operators that compute whole numbers from shapes and constants alone."""
    tensors = list(model.tensors)
    kept = []
    for operator in model.operators:
        data = None if set(operator.outputs) & set(model.outputs) else _evaluated(operator, tensors)
        if data is None:
            kept.append(operator)
            continue
        result = tensors[operator.outputs[0]]
        tensors[result.index] = replace(result, data=data)
    return replace(model, tensors=tuple(tensors), operators=tuple(kept))


def _evaluated(operator: TfliteOperator, tensors: list[TfliteTensor]) -> Array | None:
    """The result of an operator on known sizes; None if it is something else."""
    if len(operator.outputs) != 1 or -1 in (*operator.inputs, *operator.outputs) or not operator.inputs:
        return None
    result, given = tensors[operator.outputs[0]], [tensors[place] for place in operator.inputs]
    if result.dtype not in WHOLE or result.scales or prod(result.shape) > MOST_SIZES:
        return None
    evaluate = EVALUATED.get(operator.kind)
    try:
        if operator.kind in OF_SHAPES:
            data = OF_SHAPES[operator.kind](given[0].shape)
        elif evaluate is None or any(t.data is None or t.data.size > MOST_SIZES or t.scales for t in given):
            return None
        else:
            data = evaluate(operator.options, [np.asarray(t.data) for t in given])
        return np.asarray(data).astype(result.dtype).reshape(result.shape)
    except (ValueError, IndexError, KeyError, TypeError, ZeroDivisionError, OverflowError):
        return None


def _sliced(options: Mapping[str, Any], given: list[Array]) -> Any:
    """STRIDED_SLICE, without an ellipsis or a new axis."""
    x, *places = given
    if options["EllipsisMask"] or options["NewAxisMask"] or options["Offset"]:
        return None
    parts: list[Any] = []
    for axis, (begin, end, step) in enumerate(zip(*(part.tolist() for part in places), strict=True)):
        first = None if options["BeginMask"] >> axis & 1 else begin
        last = None if options["EndMask"] >> axis & 1 else end
        parts.append(begin if options["ShrinkAxisMask"] >> axis & 1 else slice(first, last, step))
    return x[tuple(parts)]


def _cut(options: Mapping[str, Any], given: list[Array]) -> Any:
    """SLICE."""
    x, begins, counts = given
    ends = [None if n == -1 else b + n for b, n in zip(begins.tolist(), counts.tolist(), strict=True)]
    return x[tuple(slice(begin, end) for begin, end in zip(begins.tolist(), ends, strict=True))]


def _quotient(_: Mapping[str, Any], given: list[Array]) -> Any:
    """DIV of whole numbers, towards zero."""
    a, b = given
    return np.sign(a) * np.sign(b) * _floor({}, [np.abs(a), np.abs(b)])


def _floor(_: Mapping[str, Any], given: list[Array]) -> Any:
    """FLOOR_DIV."""
    if (given[1] == 0).any():
        raise ZeroDivisionError
    return given[0] // given[1]


def _over_axes(function: Callable[..., Any]) -> Evaluate:
    return lambda options, given: function(given[0], axis=tuple(given[1].reshape(-1).tolist()))


OF_SHAPES: dict[str, Callable[[tuple[int, ...]], Any]] = {"SHAPE": lambda shape: shape, "RANK": len}
SAME: Evaluate = lambda options, given: given[0]  # noqa: E731 - in another shape or type
EVALUATED: dict[str, Evaluate] = {
    "ADD": lambda options, given: given[0] + given[1],
    "CAST": SAME,
    "CONCATENATION": lambda options, given: np.concatenate(given, options["Axis"]),
    "DIV": _quotient,
    "EXPAND_DIMS": SAME,
    "FLOOR_DIV": _floor,
    "GATHER": lambda options, given: np.take(given[0], given[1], options["Axis"]),
    "MAXIMUM": lambda options, given: np.maximum(*given),
    "MINIMUM": lambda options, given: np.minimum(*given),
    "MUL": lambda options, given: given[0] * given[1],
    "PACK": lambda options, given: np.stack(given, options["Axis"]),
    "REDUCE_PROD": _over_axes(np.prod),
    "RESHAPE": SAME,
    "SLICE": _cut,
    "SQUEEZE": SAME,
    "STRIDED_SLICE": _sliced,
    "SUB": lambda options, given: given[0] - given[1],
    "SUM": _over_axes(np.sum),
}
