# SPDX-License-Identifier: MIT
"""onnxruntime: every tensor of a file, beside the same one here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.doors import Door
from fixedpoint_nn.interchange.onnx.file import package
from fixedpoint_nn.interchange.onnx.model import OnnxError
from fixedpoint_nn.interchange.onnx.reader import imported
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
}


def tensors(path: str | os.PathLike[str], x: Array) -> Iterator[tuple[str, Array, Array]]:
    """(name, theirs, ours) of each tensor that the file and the network have both, in the file's order of axes."""
    found = imported(path)
    if len(found.inputs) != 1:
        names = ", ".join(door.name for door in found.inputs)
        raise OnnxError(f"{path} has {len(found.inputs)} inputs ({names}), and a comparison takes one")
    (door,) = found.inputs
    if x.shape[1:] != door.sample:
        raise OnnxError(f"{path} takes samples of shape {door.sample}, and these have {x.shape[1:]}")
    known = {inner.name for inner in found.inside}
    for output in found.outputs:
        if output.name not in known:
            raise OnnxError(
                f"the output {output.name!r} of {path} cannot be compared: no node gives it sample by sample"
            )
    theirs = _run(path, door.outward(x), door, found.inside)
    net: Any = replace(found.net, outputs=tuple(inner.node for inner in found.inside))
    ours = net(x) if len(found.inside) > 1 else (net(x),)
    for inner, value in zip(found.inside, ours, strict=True):
        yield inner.name, theirs[inner.name], inner.outward(value)


def _run(path: str | os.PathLike[str], x: Array, door: Door, wanted: Sequence[Door]) -> dict[str, Array]:
    """What onnxruntime gives for these values of the file; a batch of fixed size is repeated."""
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
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (entry,) = session.get_inputs()
    batch = door.axes[0]
    assert batch is not None
    size = x.shape[batch] if door.dims[batch] == BATCH else door.dims[batch]
    if x.shape[batch] % size:
        raise OnnxError(
            f"{path} takes {size} samples at a time, and there are {x.shape[batch]}; give a multiple"
        )
    names = [inner.name for inner in wanted]
    given = x.astype(TYPES.get(entry.type, x.dtype))
    blocks = [
        session.run(names, {entry.name: np.take(given, range(start, start + size), batch)})
        for start in range(0, x.shape[batch], size)
    ]
    return {
        inner.name: np.concatenate(values, inner.axes[0])
        for inner, values in zip(wanted, zip(*blocks, strict=True), strict=True)
    }
