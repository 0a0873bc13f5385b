# SPDX-License-Identifier: MIT
"""Comparison with TFLite's interpreter and reference kernels: every tensor of a file, by both."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.tflite.convert import TfliteConversion, part_name
from fixedpoint_nn.interchange.tflite.file import TfliteError, read
from fixedpoint_nn.network.quantized import fixed_samples
from fixedpoint_nn.numerics.arrays import Array

JUDGE = "LiteRT's interpreter with reference kernels"


def tensors(path: str | os.PathLike[str], xs: Sequence[Array]) -> Iterator[tuple[str, Array, Array, bool]]:
    """(name, theirs, ours, exact) of each operator's output, and of the model's output."""
    (x,) = xs
    model = read(path)
    conversion = TfliteConversion(model)
    network = conversion.network()
    graph: Any = network.net
    places = {
        operator.outputs[0]: part_name(operator)
        for operator in model.operators
        if operator.outputs and part_name(operator) in graph.parts
    }
    (output,) = model.outputs
    if model.tensors[output].dtype != "float32":
        places[output] = "output"
    theirs = _interpreted(Path(path), x, list(places))
    results = replace(graph, outputs=tuple(places.values()))(fixed_samples(network, x))
    ours = results if isinstance(results, tuple) else (results,)
    for (index, part), value in zip(places.items(), ours, strict=True):
        tensor = model.tensors[index]
        zero = 0 if part == "output" else tensor.zero
        yield tensor.name, theirs[index].astype(np.int64), value.ints.astype(np.int64) + zero, True


def _interpreted(path: Path, x: Array, places: list[int]) -> dict[int, Array]:
    """The values of these tensors by TFLite's interpreter with its reference kernels, for all samples."""
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        raise ImportError(
            "comparing takes the package 'ai-edge-litert': pip install 'fixedpoint_nn[tflite]'"
        ) from None
    interpreter = Interpreter(
        model_content=path.read_bytes(),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    wanted = np.dtype(entry["dtype"])
    if x.dtype.kind != wanted.kind:
        raise TfliteError(
            f"{path} takes {wanted.name}, and the samples are {x.dtype}; save them as {wanted.name} to compare"
        )
    rows: dict[int, list[Array]] = {place: [] for place in places}
    for sample in x.astype(wanted):
        interpreter.set_tensor(entry["index"], sample[np.newaxis])
        interpreter.reset_all_variables()
        interpreter.invoke()
        for place, found in rows.items():
            found.append(interpreter.get_tensor(place))
    return {place: np.concatenate(found) for place, found in rows.items()}
