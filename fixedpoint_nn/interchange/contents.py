# SPDX-License-Identifier: MIT
"""The contents of a network file, and what of it cannot be imported."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

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
    path: str | os.PathLike[str],
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, ArrayLike] | None = None,
    outputs: Sequence[str] | None = None,
    quantised: bool = True,
) -> ModelContents:
    """Read the file; `shapes`, `constants`, `outputs` and `quantised` as in `from_onnx`."""
    kind = kind_of(path)
    if kind == "onnx":
        return _onnx(path, shapes, constants, outputs, quantised)
    if not quantised and kind != "tflite":
        raise ValueError(f"{path} is this project's own file, which holds only the network that it is")
    if shapes or constants:
        raise ValueError(
            f"{path} states all of its shapes and values; shapes and constants can be given for .onnx files only"
        )
    if kind == "tflite":
        return _tflite(path, outputs, quantised)
    net = load(os.fspath(path))
    shape = getattr(net, "shape", None)
    return ModelContents(kind, net=net, shapes=() if shape is None else (shape,))


def _onnx(
    path: str | os.PathLike[str],
    shapes: Mapping[str, Sequence[int]] | None,
    constants: Mapping[str, ArrayLike] | None,
    outputs: Sequence[str] | None,
    quantised: bool,
) -> ModelContents:
    from fixedpoint_nn.interchange.onnx.doors import WHOLE
    from fixedpoint_nn.interchange.onnx.file import read
    from fixedpoint_nn.interchange.onnx.importing import any_kind
    from fixedpoint_nn.interchange.unsupported import UnsupportedModel

    model = read(path).only(outputs)
    inputs, results = (
        tuple(f"{x.name} {x.type.lower()} ({', '.join(str(a) or '?' for a in x.axes)})" for x in group)
        for group in (model.inputs, model.outputs)
    )
    operators = Counter(operation.op for operation in model.operations)
    try:
        found = any_kind(path, shapes=shapes, constants=constants, outputs=outputs, quantised=quantised)
    except UnsupportedModel as error:
        return ModelContents("onnx", inputs, results, operators, refusals=tuple(map(str, error.refusals)))
    types = {x.name: x.type for x in model.inputs}
    samples = tuple(door.sample for door in found.inputs)
    whole = tuple(types[door.name] in WHOLE for door in found.inputs)
    return ModelContents("onnx", inputs, results, operators, found.net, samples, whole)


def _tflite(path: str | os.PathLike[str], outputs: Sequence[str] | None, quantised: bool) -> ModelContents:
    from fixedpoint_nn.interchange.tflite.as_floats import as_floats
    from fixedpoint_nn.interchange.tflite.convert import TfliteConversion, float_conversion
    from fixedpoint_nn.interchange.tflite.file import read
    from fixedpoint_nn.interchange.tflite.floats import is_float
    from fixedpoint_nn.interchange.unsupported import UnsupportedModel

    model = read(path).only(outputs)
    inputs, results = (
        tuple(f"{t.name} {t.dtype} {t.shape}" for t in (model.tensors[place] for place in group))
        for group in (model.inputs, model.outputs)
    )
    operators = Counter(operator.kind for operator in model.operators)
    try:
        if not quantised or is_float(model):
            found = float_conversion(model if quantised else as_floats(model))
            samples = tuple(door.sample for door in found.inputs)
            integers = {tensor.name for tensor in model.tensors if tensor.dtype in ("int32", "int64")}
            ids = tuple(door.name in integers for door in found.inputs)
            return ModelContents("tflite", inputs, results, operators, found.net, samples, ids)
        conversion = TfliteConversion(model)
        net = conversion.network()
    except UnsupportedModel as error:
        return ModelContents("tflite", inputs, results, operators, refusals=error.refusals)
    known = conversion.model
    shapes = tuple(known.tensors[place].shape[1:] for place in known.inputs)
    inputs += tuple(
        f"the variable {state.name} {state.initial.dtype} {state.initial.shape}" for state in known.states
    )
    return ModelContents("tflite", inputs, results, operators, net, shapes, (True,) * len(shapes))
