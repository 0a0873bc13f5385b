# SPDX-License-Identifier: MIT
"""Comparison with TFLite's interpreter and reference kernels: every tensor of a file, by both."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.tflite.convert import TfliteConversion, float_conversion, part_name
from fixedpoint_nn.interchange.tflite.file import TfliteError, read
from fixedpoint_nn.interchange.tflite.floats import is_float, tensor_names
from fixedpoint_nn.interchange.tflite.model import TfliteModel
from fixedpoint_nn.interchange.tflite.streaming import states_before
from fixedpoint_nn.network.quantized import fixed_samples_of
from fixedpoint_nn.numerics.arrays import Array

JUDGE = "LiteRT's interpreter with reference kernels"


def tensors(
    path: str | os.PathLike[str], xs: Sequence[Array], outputs: Sequence[str] | None = None
) -> Iterator[tuple[str, Array, Array, bool]]:
    """(name, theirs, ours, exact) of each operator's output, and of the model's output."""
    model = read(path).only(outputs)
    if is_float(model):
        yield from _floats(Path(path), model, xs)
        return
    conversion = TfliteConversion(model)
    network, known = conversion.network(), conversion.model
    xs = states_before(known, network, xs)
    graph: Any = network.net
    places = {
        place: part_name(operator, number)
        for operator in known.operators
        for number, place in enumerate(operator.outputs)
        if part_name(operator, number) in graph.parts
    }
    ends = dict(zip(known.outputs, graph.outputs, strict=True))
    places |= {place: part for place, part in ends.items() if known.tensors[place].dtype != "float32"}
    outside = len(known.inputs) - len(known.states)
    inside = len(model.tensors)  # what a variable holds after a call is read from the variable itself
    places = {place: part for place, part in places.items() if place < inside or place in known.outputs}
    read_from = {state.stored: state.read for state in known.states if state.stored >= inside}
    wanted = [read_from.get(place, place) for place in places]
    found = _interpreted(Path(path), xs[:outside], wanted, stateful=bool(known.states))
    theirs = {place: found[read_from.get(place, place)] for place in places}
    ours = replace(graph, outputs=tuple(places.values()))(*map(fixed_samples_of, network.inputs, xs))
    several = ours if isinstance(ours, tuple) else (ours,)
    for (index, part), value in zip(places.items(), several, strict=True):
        tensor = known.tensors[index]
        last = part in graph.outputs
        zero, shape = (0, value.shape) if last else (tensor.zero, tensor.shape)
        given = theirs[index].astype(np.int64).reshape(-1, *shape[1:])  # one batch for each sample
        yield tensor.name, given, value.ints.astype(np.int64) + zero, True


def _floats(path: Path, model: TfliteModel, xs: Sequence[Array]) -> Iterator[tuple[str, Array, Array, bool]]:
    """The tensors of a float model."""
    found = float_conversion(model)
    if len(xs) != len(found.inputs):
        raise TfliteError(f"{path} has {len(found.inputs)} inputs, and was given {len(xs)} arrays of samples")
    places = {name: place for place, name in tensor_names(model).items()}
    doors = {
        door.name: door
        for door in (*found.inside, *found.outputs)
        if door.axes[0] is not None and door.name in places
    }
    theirs = _interpreted(path, xs, [places[name] for name in doors], stateful=False)
    net: Any = replace(found.net, outputs=tuple(door.node for door in doors.values()))
    results = net(*xs)
    ours = results if isinstance(results, tuple) else (results,)
    for door, value in zip(doors.values(), ours, strict=True):
        found_here = door.every_sample(value)
        given = theirs[places[door.name]]
        if given.ndim < found_here.ndim:
            given = given.reshape(found_here.shape)  # one batch for each sample
        yield door.name, given, found_here, False


def _interpreted(path: Path, xs: Sequence[Array], places: list[int], stateful: bool) -> dict[int, Array]:
    """The interpreter's tensors; with `stateful` its variables stay from one sample to the next."""
    interpreter = interpreter_of(path.read_bytes())
    interpreter.allocate_tensors()
    entries = interpreter.get_input_details()
    given = []
    for entry, x in zip(entries, xs, strict=True):
        wanted = np.dtype(entry["dtype"])
        if x.dtype.kind != wanted.kind:
            raise TfliteError(
                f"{path} takes {wanted.name}, and the samples are {x.dtype}; save them as {wanted.name} to compare"
            )
        given.append(x.astype(wanted))
    rows: dict[int, list[Array]] = {place: [] for place in places}
    for samples in zip(*given, strict=True):
        for entry, sample in zip(entries, samples, strict=True):
            interpreter.set_tensor(entry["index"], sample[np.newaxis])
        if not stateful:
            interpreter.reset_all_variables()
        interpreter.invoke()
        for place, found in rows.items():
            found.append(interpreter.get_tensor(place))
    return {place: np.concatenate(found) for place, found in rows.items()}


def interpreter_of(blob: bytes) -> Any:
    """The interpreter with reference kernels; with the usual ones if an operator, such as ELU, has no other."""
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        raise ImportError(
            "comparing takes the package 'ai-edge-litert': pip install 'fixedpoint_nn[tflite]'"
        ) from None

    def made(kernels: Any) -> Any:
        return Interpreter(
            model_content=blob,
            experimental_op_resolver_type=kernels,
            experimental_preserve_all_tensors=True,
            num_threads=1,
        )

    try:
        return made(OpResolverType.BUILTIN_REF)
    except ValueError as error:
        if "Didn't find op" not in str(error):
            raise
        return made(OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
