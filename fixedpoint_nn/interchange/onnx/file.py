# SPDX-License-Identifier: MIT
"""Reading an .onnx file into a `OnnxModel`, in time and memory proportional to its size, even if it is malicious."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.classical import with_standard_operators
from fixedpoint_nn.interchange.onnx.functions import inlined
from fixedpoint_nn.interchange.onnx.model import (
    Branch,
    Declared,
    OnnxError,
    OnnxModel,
    OnnxOperation,
    in_order,
)
from fixedpoint_nn.numerics.arrays import Array

MOST_BYTES = 1 << 31  # protobuf's own limit
MOST_AXES = 16
OLDEST_OPSET = 7
SMALL = ("int4", "uint4", "int2", "uint2")


def package() -> Any:
    """The package `onnx`; raises an error with a hint if it is not installed."""
    try:
        import onnx
    except ImportError:
        raise ImportError(
            "reading an .onnx file takes the package 'onnx': pip install 'fixedpoint_nn[onnx]'"
        ) from None
    return onnx


def read(source: str | os.PathLike[str] | bytes) -> OnnxModel:
    """The model in a file (its path or its bytes); raises OnnxError."""
    onnx = package()
    folder: Path | None = None
    if isinstance(source, bytes | bytearray | memoryview):
        blob, what = bytes(source), f"the model of {len(source)} bytes"
    else:
        path = Path(source)
        folder, what = path.parent, str(source)
        try:
            if path.stat().st_size > MOST_BYTES:
                raise OnnxError(f"{what} is larger than 2 GiB, which no ONNX file is")
            blob = path.read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {source}") from None
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(blob)
    except Exception as error:  # the decoder's error class is not public
        raise OnnxError(f"{what} is damaged or no ONNX model: {_sentence(error)}") from None
    if not proto.HasField("graph") or not proto.opset_import:
        raise OnnxError(f"{what} is no ONNX model: it holds no graph, or says no operator set")
    try:
        return _model(onnx, proto, folder)
    except OnnxError as error:
        raise OnnxError(f"{what} is damaged: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, MemoryError) as error:
        raise OnnxError(f"{what} is damaged: {_sentence(error)}") from None


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _model(onnx: Any, proto: Any, folder: Path | None) -> OnnxModel:
    """The model of a parsed file, with its functions inlined and its constants as arrays."""
    proto = inlined(proto)
    opset = max(
        (entry.version for entry in proto.opset_import if text(entry.domain) in ("", "ai.onnx")), default=0
    )
    if opset < OLDEST_OPSET:
        raise OnnxError(
            f"its operators are those of opset {opset}; export it with opset {OLDEST_OPSET} or later"
        )
    graph = proto.graph
    if graph.sparse_initializer:
        raise OnnxError("it has sparse constants; store them as dense ones")
    constants = {text(tensor.name): array_of(onnx, tensor, folder) for tensor in graph.initializer}
    inputs = tuple(_declared(onnx, info) for info in graph.input if text(info.name) not in constants)
    operations = [_operation(onnx, node, number, opset, folder) for number, node in enumerate(graph.node)]
    known = {*constants, *(declared.name for declared in inputs)}
    ordered = in_order(operations, known)
    outputs = tuple(_declared(onnx, info) for info in graph.output)
    made = known.union(*(operation.outputs for operation in ordered))
    for output in outputs:
        if output.name not in made:
            raise OnnxError(f"its output {output.name!r} is computed by none of its nodes")
    if not outputs:
        raise OnnxError("it has no output")
    about = {text(entry.key): text(entry.value) for entry in proto.metadata_props}
    return with_standard_operators(OnnxModel(tuple(ordered), inputs, outputs, constants, opset, about))


def text(name: str | bytes) -> str:
    """A name as text; protobuf returns bytes if it is not UTF-8."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


def _operation(onnx: Any, node: Any, number: int, opset: int, folder: Path | None) -> OnnxOperation:
    """A node of the file, with a name and the default domain ''."""
    name, op, domain = text(node.name), text(node.op_type), text(node.domain)
    domain = "" if domain == "ai.onnx" else domain
    operation = OnnxOperation(
        name or f"{op}_{number}",
        op,
        tuple(text(part) for part in node.input),
        tuple(text(part) for part in node.output),
        {text(attribute.name): _value(onnx, attribute, folder) for attribute in node.attribute},
        domain,
    )
    _check_types(onnx, node, operation, opset)
    return _branching(onnx, node, operation, opset, folder) if op == "If" and not domain else operation


def _branching(
    onnx: Any, node: Any, operation: OnnxOperation, opset: int, folder: Path | None
) -> OnnxOperation:
    """An If whose attributes are branches, and whose further inputs are what they take from outside."""
    branches = {
        text(attribute.name): branch_of(
            onnx, attribute.g, f"{operation.name}/{text(attribute.name)}", opset, folder
        )
        for attribute in node.attribute
        if attribute.HasField("g")
    }
    captured = dict.fromkeys(name for branch in branches.values() for name in branch.captured)
    return replace(
        operation,
        inputs=(*operation.inputs, *captured),
        attributes={**operation.attributes, **branches},
    )


def branch_of(onnx: Any, graph: Any, prefix: str, opset: int, folder: Path | None) -> Branch:
    """A graph within the file; the names of what it computes begin with `prefix`."""
    operations = [_operation(onnx, node, number, opset, folder) for number, node in enumerate(graph.node)]
    constants = {text(tensor.name): array_of(onnx, tensor, folder) for tensor in graph.initializer}
    made = {name for operation in operations for name in operation.outputs if name}.union(constants)
    outputs = [text(info.name) for info in graph.output]
    taken = dict.fromkeys(name for operation in operations for name in operation.inputs if name)
    captured = [name for name in (*taken, *outputs) if name not in made]
    ordered = in_order(operations, {*constants, *captured})

    def own(name: str) -> str:
        return f"{prefix}/{name}" if name in made else name

    return Branch(
        tuple(
            replace(
                operation,
                name=f"{prefix}/{operation.name}",
                inputs=tuple(map(own, operation.inputs)),
                outputs=tuple(map(own, operation.outputs)),
                attributes={
                    key: _renamed(value, own) if isinstance(value, Branch) else value
                    for key, value in operation.attributes.items()
                },
            )
            for operation in ordered
        ),
        {own(name): array for name, array in constants.items()},
        tuple(map(own, outputs)),
        tuple(dict.fromkeys(captured)),
    )


def _renamed(branch: Branch, own: Callable[[str], str]) -> Branch:
    """A branch within a branch, which takes renamed values from it."""
    return replace(
        branch,
        operations=tuple(
            replace(
                operation,
                inputs=tuple(own(name) if name in branch.captured else name for name in operation.inputs),
                attributes={
                    key: _renamed(value, own) if isinstance(value, Branch) else value
                    for key, value in operation.attributes.items()
                },
            )
            for operation in branch.operations
        ),
        outputs=tuple(own(name) if name in branch.captured else name for name in branch.outputs),
        captured=tuple(map(own, branch.captured)),
    )


def _check_types(onnx: Any, node: Any, operation: OnnxOperation, opset: int) -> None:
    """Raise OnnxError unless every attribute has the type that the operator's specification requires."""
    try:
        schema = onnx.defs.get_schema(operation.op, opset, operation.domain)
    except Exception:  # an unknown operator, which the reader refuses later
        return
    for attribute in node.attribute:
        known = schema.attributes.get(text(attribute.name))
        kind = onnx.AttributeProto.AttributeType.Name(attribute.type)
        if known is not None and known.type.name != kind:
            raise OnnxError(
                f"attribute {text(attribute.name)} of node {operation.name!r} is of the type {kind}, "
                f"and the specification says {known.type.name}"
            )


def _declared(onnx: Any, info: Any) -> Declared:
    """An input or output with its type and axes; a size is a number, or the name of an open one."""
    if not info.type.HasField("tensor_type"):
        return Declared(text(info.name), info.type.WhichOneof("value") or "nothing", ())
    tensor = info.type.tensor_type
    axes: list[int | str] = []
    for dim in tensor.shape.dim:
        if dim.HasField("dim_value"):
            if dim.dim_value == -1:  # as some exporters write an open size
                axes.append("")
                continue
            if dim.dim_value < 0:
                raise OnnxError(f"{text(info.name)!r} has an axis of {dim.dim_value} elements")
            axes.append(int(dim.dim_value))
        else:
            axes.append(text(dim.dim_param))
    if len(axes) > MOST_AXES:
        raise OnnxError(f"{text(info.name)!r} has {len(axes)} axes")
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
    return Declared(
        text(info.name), kind if tensor.HasField("shape") else f"{kind} of unknown shape", tuple(axes)
    )


def _value(onnx: Any, attribute: Any, folder: Path | None) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        return array_of(onnx, value, folder)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [part.decode("utf-8", "replace") if isinstance(part, bytes) else part for part in value]
    return value


def array_of(onnx: Any, tensor: Any, folder: Path | None) -> Array:
    """The array of a tensor; its declared size is checked against the available bytes."""
    dims = tuple(int(size) for size in tensor.dims)
    if len(dims) > MOST_AXES or any(size < 0 for size in dims):
        raise OnnxError(f"constant {tensor.name!r} has the impossible shape {list(dims)}")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raw = _external(tensor, dims, onnx, folder)
        tensor = onnx.TensorProto(name=tensor.name, dims=dims, data_type=tensor.data_type, raw_data=raw)
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except Exception as error:
        raise OnnxError(
            f"constant {tensor.name!r} of shape {list(dims)} is broken: {_sentence(error)}"
        ) from None
    if array.size != prod(dims):
        raise OnnxError(
            f"constant {tensor.name!r} promises the shape {list(dims)} and holds {array.size} numbers"
        )
    if array.dtype.name in SMALL:  # kept as NumPy extension types, which carry their width
        return np.asarray(array)
    if array.dtype.kind == "V" or array.dtype.name in ("bfloat16", "float16"):
        return np.asarray(array, np.float32)
    return np.asarray(array)


def _external(tensor: Any, dims: tuple[int, ...], onnx: Any, folder: Path | None) -> bytes:
    """The bytes of a constant in a file beside the model, which must lie in the model's folder."""
    about = {entry.key: entry.value for entry in tensor.external_data}
    location = about.get("location", "")
    if folder is None:
        raise OnnxError(
            f"constant {tensor.name!r} is in the file {location!r}; give the model's path, not its bytes"
        )
    path = (folder / location).resolve()
    if not location or Path(location).is_absolute() or not path.is_relative_to(folder.resolve()):
        raise OnnxError(f"constant {tensor.name!r} is in {location!r}, outside of the model's folder")
    if not path.is_file():
        raise OnnxError(f"constant {tensor.name!r} is in the file {location!r}, which is not there")
    try:
        start = int(about.get("offset", "0"))
        length = int(about.get("length", str(path.stat().st_size - start)))
    except ValueError:
        raise OnnxError(f"constant {tensor.name!r} has no readable offset and length") from None
    size = prod(dims) * np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    if start < 0 or length < 0 or start + length > path.stat().st_size or length != size:
        raise OnnxError(
            f"constant {tensor.name!r} of shape {list(dims)} is not in the {length} bytes from {start} of {location!r}"
        )
    with path.open("rb") as file:
        file.seek(start)
        raw: bytes = file.read(length)
    return raw
