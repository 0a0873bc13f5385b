# SPDX-License-Identifier: MIT
"""The contents of a network file, and what of it cannot be imported."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.load import kind_of
from fixedpoint_nn.network.serialization import load


@dataclass(frozen=True)
class ModelContents:
    """Operators with counts, inputs and outputs with types and shapes, and the network or all refusals.

    `shapes` are those of one sample of each input, as the network takes it; empty if the file does not state them.
    """

    kind: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    operators: Mapping[str, int] | None = None
    net: Any = None
    shapes: tuple[tuple[int, ...], ...] = ()
    whole: tuple[bool, ...] = (False,)  # inputs whose samples are integers
    refusals: tuple[str, ...] = ()


def contents(
    path: str | os.PathLike[str], shapes: Mapping[str, Sequence[int]] | None = None
) -> ModelContents:
    """Read the file; `shapes` as in `from_onnx`."""
    kind = kind_of(path)
    if kind == "onnx":
        return _onnx(path, shapes)
    if shapes:
        raise ValueError(f"{path} states all of its shapes; shapes can be given for .onnx files only")
    if kind == "tflite":
        return _tflite(path)
    net = load(os.fspath(path))
    shape = getattr(net, "shape", None)
    return ModelContents(kind, net=net, shapes=() if shape is None else (shape,))


def _onnx(path: str | os.PathLike[str], shapes: Mapping[str, Sequence[int]] | None) -> ModelContents:
    from fixedpoint_nn.interchange.onnx.doors import WHOLE
    from fixedpoint_nn.interchange.onnx.file import read
    from fixedpoint_nn.interchange.onnx.importing import any_kind
    from fixedpoint_nn.interchange.unsupported import UnsupportedModel

    model = read(path)
    inputs, outputs = (
        tuple(f"{x.name} {x.type.lower()} ({', '.join(str(a) or '?' for a in x.axes)})" for x in group)
        for group in (model.inputs, model.outputs)
    )
    operators = Counter(operation.op for operation in model.operations)
    try:
        found = any_kind(path, shapes=shapes)
    except UnsupportedModel as error:
        return ModelContents("onnx", inputs, outputs, operators, refusals=tuple(map(str, error.refusals)))
    types = {x.name: x.type for x in model.inputs}
    samples = tuple(door.sample for door in found.inputs)
    whole = tuple(types[door.name] in WHOLE for door in found.inputs)
    return ModelContents("onnx", inputs, outputs, operators, found.net, samples, whole)


def _tflite(path: str | os.PathLike[str]) -> ModelContents:
    from fixedpoint_nn.interchange.tflite.convert import TfliteConversion
    from fixedpoint_nn.interchange.tflite.file import read
    from fixedpoint_nn.interchange.unsupported import UnsupportedModel

    model = read(path)
    inputs, outputs = (
        tuple(f"{t.name} {t.dtype} {t.shape}" for t in (model.tensors[place] for place in group))
        for group in (model.inputs, model.outputs)
    )
    operators = Counter(operator.kind for operator in model.operators)
    try:
        net = TfliteConversion(model).network()
    except UnsupportedModel as error:
        return ModelContents("tflite", inputs, outputs, operators, refusals=error.refusals)
    shapes = (model.tensors[model.inputs[0]].shape[1:],)
    return ModelContents("tflite", inputs, outputs, operators, net, shapes, (True,))
