# SPDX-License-Identifier: MIT
"""Networks on disk: `safetensors` for the numbers, JSON in its metadata for the structure.

The structure names classes, and only those listed in `CLASSES` are ever made: a file cannot run anything. A
checksum over all of it stands beside the structure, so that no flipped bit becomes another network.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from fixedpoint_nn import layers
from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.layers.fields import INLINE
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import is_layer
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.subnormals import flushed
from fixedpoint_nn.numerics.table import Table
from fixedpoint_nn.numerics.value_table import ValueTable

KEY = "fixedpoint_nn"
VERSION = 1
VALUES = (Accumulator, ChannelQuantizer, Quantized, Quantizer, Table, ValueTable)
LAYERS = tuple(getattr(layers, name) for name in layers.__all__)
CLASSES: dict[str, type] = {cls.__name__: cls for cls in (*VALUES, *LAYERS)}
ENUMS: dict[str, type[Enum]] = {"Rounding": Rounding, "Overflow": Overflow}


def register(*classes: type) -> None:
    """Let files name these dataclasses too; rooms above this one have layers of their own."""
    for cls in classes:
        if CLASSES.setdefault(cls.__name__, cls) is not cls:
            raise ValueError(f"files know another {cls.__name__}, {CLASSES[cls.__name__].__module__}'s")


class FileError(ValueError):
    """Raised for a file that is no network of this project, or a damaged one; the message is one sentence."""


def save(net: Any, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None) -> None:
    """Write a network, over floats or over integers; an interrupted save leaves the old file.

    Floats that are too small to matter and slow down every product (`numerics/subnormals.py`) become zero.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    structure = _encode(net, "", arrays)
    header = {"version": VERSION, "net": structure, "metadata": dict(metadata or {})}
    header = with_checksum(header, arrays)
    blob = save_tensors(arrays, {KEY: json.dumps(header, ensure_ascii=False)})
    write_whole(path, blob)


def load(path: str | os.PathLike[str]) -> Any:
    """The network that `save` wrote."""
    header, arrays = _read(Path(path))
    try:
        net = _decode(header["net"], arrays)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FileError(f"{path} does not describe a network: {_sentence(error)}") from error
    if not is_layer(net):
        raise FileError(f"{path} does not describe a network: it holds a {type(net).__name__}")
    return net


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata given to `save` (the command, the seed, the result)."""
    return dict(_read(Path(path))[0].get("metadata", {}))


def identity(net: Any) -> str:
    """The SHA-256 of a network's structure and of all its numbers, the same before `save` and after `load`."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    structure = _encode(net, "", arrays)
    return _checksum({"net": structure}, arrays)


def with_checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """The header with a checksum of itself and of the arrays."""
    return {**header, "sha256": _checksum(header, arrays)}


def matches_checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> bool:
    """Whether header and arrays have the checksum of the header; true for a header without one."""
    return header.get("sha256") in (None, _checksum(header, arrays))


def _checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    text = json.dumps({name: value for name, value in header.items() if name != "sha256"})
    found = hashlib.sha256(json.dumps(json.loads(text), sort_keys=True).encode())
    for name, values in sorted(arrays.items()):
        found.update(f"{name} {values.dtype.str} {values.shape}".encode())
        found.update(np.ascontiguousarray(values).data)
    return found.hexdigest()


def _sentence(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(text).split())[:300]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        blob = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    try:
        arrays = load_tensors(blob)
        size = int.from_bytes(blob[:8], "little")
        text = json.loads(blob[8 : 8 + size]).get("__metadata__", {}).get(KEY)
        header = None if text is None else json.loads(text)
    except (SafetensorError, ValueError, RecursionError, MemoryError, AttributeError, KeyError) as error:
        raise FileError(f"{path} is damaged or not a safetensors file: {_sentence(error)}") from error
    if not isinstance(header, dict) or "net" not in header:
        raise FileError(f"{path} is a safetensors file, but not a network saved by fixedpoint_nn")
    if header.get("version") != VERSION:
        raise FileError(
            f"{path} has file version {header.get('version')!r}, this release reads {VERSION}; "
            "use the release that wrote it"
        )
    if not matches_checksum(header, arrays):
        raise FileError(f"{path} is damaged: its content does not match its checksum; get or train it again")
    return header, arrays


# ---- from objects to JSON and back: every branch of one has its twin in the other ------


def _encode(value: Any, path: str, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    def inside(name: str, part: Any) -> Any:
        return _encode(part, f"{path}.{name}" if path else name, arrays)

    if isinstance(value, Tensor):
        arrays[path] = np.asarray(flushed(value.data), order="C")
        return {"tensor": path}
    if isinstance(value, FixedArray):
        arrays[path] = np.asarray(_smallest(value.ints), order="C")
        return {"fixed": path, "format": repr(value.format)}
    if isinstance(value, QFormat):
        return {"format": repr(value)}
    if isinstance(value, Enum):
        return {"enum": type(value).__name__, "name": value.name}
    if is_dataclass(value) and type(value).__name__ in CLASSES:
        encoded = {}
        for f in (f for f in fields(value) if f.init):
            part = getattr(value, f.name)
            encoded[f.name] = _encode(part, path, arrays) if f.metadata.get(INLINE) else inside(f.name, part)
        return {"class": type(value).__name__, "fields": encoded}
    if isinstance(value, Mapping):
        return {"parts": {key: inside(key, part) for key, part in value.items()}}
    if isinstance(value, tuple | list):
        return {"items": [inside(str(index), part) for index, part in enumerate(value)]}
    if isinstance(value, np.random.Generator):
        return None  # training goes on with a generator of its own
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"{path or 'the network'} holds a {type(value).__name__}, which a file cannot hold; "
        f"layers that can be saved are {', '.join(sorted(layers.__all__))}"
    )


def _decode(code: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    if not isinstance(code, dict):
        return code
    if "tensor" in code:
        return Tensor(_array(code["tensor"], arrays))
    if "fixed" in code:
        ints = _array(code["fixed"], arrays)
        return FixedArray.from_ints(ints, QFormat.parse(code["format"]))
    if "format" in code:
        return QFormat.parse(code["format"])
    if "enum" in code:
        return _known(ENUMS, code["enum"])[code["name"]]
    if "class" in code:
        make: Callable[..., Any] = _known(CLASSES, code["class"])
        return make(**{name: _decode(part, arrays) for name, part in code["fields"].items()})
    if "parts" in code:
        return {key: _decode(part, arrays) for key, part in code["parts"].items()}
    return tuple(_decode(part, arrays) for part in code["items"])


def _known(known: Mapping[str, Any], name: str) -> Any:
    if name not in known:
        raise ValueError(f"it asks for {name!r}, which is none of this project's classes")
    return known[name]


def _array(name: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    if name not in arrays:
        raise ValueError(f"the numbers of {name!r} are missing")
    return arrays[name]


def _smallest(ints: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same integers in the smallest type that holds them."""
    for dtype in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(dtype)
        if ints.size == 0 or (ints.min() >= bounds.min and ints.max() <= bounds.max):
            return ints.astype(dtype)
    return ints.astype(np.int64)
