# SPDX-License-Identifier: MIT
"""Comparison with onnxruntime: every tensor of a file, by both."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.interchange.onnx.classical import INNER
from fixedpoint_nn.interchange.onnx.doors import Door
from fixedpoint_nn.interchange.onnx.file import package, read
from fixedpoint_nn.interchange.onnx.importing import any_kind
from fixedpoint_nn.interchange.onnx.integers.conversion import ImportedIntegers
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals
from fixedpoint_nn.interchange.onnx.integers.outputs import GridMeaning
from fixedpoint_nn.interchange.onnx.model import OnnxError
from fixedpoint_nn.interchange.onnx.open_sizes import shapes_of
from fixedpoint_nn.interchange.onnx.reader import Imported
from fixedpoint_nn.interchange.onnx.unsaturated import unsaturated
from fixedpoint_nn.interchange.onnx.value import BATCH
from fixedpoint_nn.numerics.arrays import Array

JUDGE = "onnxruntime"
ERRORS_ONLY = 3  # of its log
TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(uint16)": np.uint16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}


def tensors(
    path: str | os.PathLike[str],
    xs: Sequence[Array],
    optimised: bool = False,
    constants: Mapping[str, ArrayLike] | None = None,
    outputs: Sequence[str] | None = None,
) -> Iterator[tuple[str, Array, Array, bool]]:
    """(name, theirs, ours, exact) of each tensor that both have, in the file's order of axes.

    Integers are exact, and so are the floats that they are dequantised to. Sizes that the file leaves open are those
    of the samples.
    """
    fixed = dict(constants or {})
    model = read(path).only(outputs)
    names_in = [declared.name for declared in model.inputs if declared.name not in fixed]
    sizes = {name: x.shape for name, x in zip(names_in, xs, strict=False)} if len(names_in) == len(xs) else {}
    shapes = shapes_of(model, sizes, fixed) or None
    found = any_kind(path, shapes=shapes, constants=fixed or None, outputs=outputs)
    if len(found.inputs) != len(xs):
        names = ", ".join(door.name for door in found.inputs)
        raise OnnxError(
            f"{path} has {len(found.inputs)} inputs ({names}), and was given {len(xs)} arrays of samples"
        )
    xs = [_arranged(path, door, x) for door, x in zip(found.inputs, xs, strict=True)]
    size = _at_once(path, found.inputs, len(xs[0]))
    for output in found.outputs:
        joined = output.axes[0] is None and size != 1
        if joined or (isinstance(found, Imported) and output.node not in found.net.parts):
            raise OnnxError(
                f"the output {output.name!r} of {path} cannot be compared: no node gives it sample by sample"
            )
    if isinstance(found, ImportedIntegers):
        pairs = _integers(
            replace(found, inside=()) if optimised else found, xs
        )  # a requested tensor is not optimised away
    else:
        pairs = _floats(found, xs, size)
    wanted = [door for door, _, _ in pairs]
    theirs = _run(path, found.inputs, xs, size, wanted, optimised or isinstance(found, Imported), fixed)
    for door, value, exact in pairs:
        yield door.name, theirs[door.name], value, exact


def _arranged(path: str | os.PathLike[str], door: Door, x: Array) -> Array:
    arranged = door.arranged(x)
    if arranged is None:
        raise OnnxError(f"{path} takes samples of shape {door.sample}, and these have {x.shape[1:]}")
    return arranged


def sigmoids(path: str | os.PathLike[str]) -> frozenset[str]:
    """The results of a file's sigmoids, whose errors in onnxruntime are of the size of 1 and not of theirs."""
    return frozenset(name for o in read(path).operations if o.op == "Sigmoid" for name in o.outputs)


def _floats(found: Imported, xs: Sequence[Array], size: int) -> list[tuple[Door, Array, bool]]:
    """Inner tensors and outputs; those without an axis for the samples if the file is run with one at a time."""
    filed = [door for door in found.inside if not door.name.endswith(INNER)]
    inside = [door for door in filed if door.axes[0] is not None or size == 1]
    known = {door.name for door in inside}
    doors = [*inside, *(door for door in found.outputs if door.name not in known)]
    net: Any = replace(found.net, outputs=tuple(door.node for door in doors))
    ours = net(*xs) if len(doors) > 1 else (net(*xs),)
    return [(door, door.every_sample(value), False) for door, value in zip(doors, ours, strict=True)]


def _at_once(path: str | os.PathLike[str], doors: Sequence[Door], count: int) -> int:
    """How many samples the file takes at a time."""
    size = min(count if door.dims[_batch(door)] == BATCH else door.dims[_batch(door)] for door in doors)
    if count % size:
        raise OnnxError(f"{path} takes {size} samples at a time, and there are {count}; give a multiple")
    return size


def _integers(found: ImportedIntegers, xs: Sequence[Array]) -> list[tuple[Door, Array, bool]]:
    """Inner tensors with defined integers, and the outputs."""
    outputs = {door.name for door in found.outputs}
    inside = [door for door in found.inside if door.name not in outputs and _defined(door.meaning)]
    doors = [*inside, *found.outputs]
    graph: Any = found.net.net
    inner = replace(graph, outputs=tuple(door.node for door in doors)) if inside else graph
    results = replace(found.net, net=inner)(*xs)
    several = results if isinstance(results, tuple) else (results,)
    return [
        (door, door.every_sample(door.meaning.filed(value.ints)), not isinstance(door.meaning, GridMeaning))
        for door, value in zip(doors, several, strict=True)
    ]


def _defined(meaning: Any) -> bool:
    """Whether these are the file's integers, or dequantised codes, whose values do not depend on a float sum."""
    return isinstance(meaning, Codes) or (
        isinstance(meaning, Reals) and meaning.zero is not None and meaning.linear
    )


def _run(
    path: str | os.PathLike[str],
    doors: Sequence[Door],
    xs: Sequence[Array],
    size: int,
    wanted: Sequence[Door],
    optimised: bool,
    fixed: Mapping[str, ArrayLike],
) -> dict[str, Array]:
    """onnxruntime's results for these values of the file; samples are run in batches of the file's fixed size."""
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(
            "comparing takes the package 'onnxruntime': pip install 'fixedpoint_nn[onnx]'"
        ) from None
    onnx = package()
    model = onnx.load(path)
    declared = {output.name for output in model.graph.output}
    model.graph.output.extend(
        onnx.ValueInfoProto(name=inner.name) for inner in wanted if inner.name not in declared
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = ERRORS_ONLY, 1
    if not optimised:
        model = unsaturated(model)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    types = {entry.name: entry.type for entry in session.get_inputs()}
    names = [inner.name for inner in wanted]
    given = {
        door.name: door.outward(x).astype(TYPES.get(types[door.name], x.dtype))
        for door, x in zip(doors, xs, strict=True)
    }
    always = {name: np.asarray(x, TYPES.get(types[name])) for name, x in fixed.items() if name in types}
    axes = {door.name: _batch(door) for door in doors}
    blocks = [
        session.run(
            names,
            always
            | {name: np.take(array, range(start, start + size), axes[name]) for name, array in given.items()},
        )
        for start in range(0, len(xs[0]), size)
    ]
    return {
        inner.name: np.stack(values) if inner.axes[0] is None else np.concatenate(values, _batch(inner))
        for inner, values in zip(wanted, zip(*blocks, strict=True), strict=True)
    }


def _batch(door: Door) -> int:
    """The file's axis of the batch."""
    axis = door.axes[0]
    assert axis is not None
    return axis
