# SPDX-License-Identifier: MIT
"""Networks as files: `safetensors` for the numbers, JSON in its metadata for the structure.

Loading cannot run code (`network/encoding.py`). A checksum over structure and numbers detects any changed bit.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.network.encoding import decoded, encoded
from fixedpoint_nn.network.json_shapes import JsonAny, JsonMap, JsonObject, ShapeError, demand, parsed, shown
from fixedpoint_nn.network.tree import is_layer

KEY = "fixedpoint_nn"
AGAIN = "get it again, or train it again"
VERSION = 1


class FileError(ValueError):
    """Raised for a file that is not a network of this project, or is damaged."""


def save(net: Any, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None) -> None:
    """Write a float or quantised network to a file; an interrupted save leaves the old file.

    Subnormal floats, which slow down every product (`numerics/subnormals.py`), are set to zero.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    structure = encoded(net, "", arrays)
    header = {"version": VERSION, "net": structure, "metadata": dict(metadata or {})}
    header = with_checksum(header, arrays)
    blob = save_tensors(arrays, {KEY: json.dumps(header, ensure_ascii=False)})
    write_whole(path, blob)


def load(path: str | os.PathLike[str]) -> Any:
    """The network that `save` wrote; raises FileError for any other or damaged file."""
    header, arrays = _read(Path(path))
    try:
        net = decoded(header["net"], arrays)
    except RecursionError:
        raise FileError(f"{path} does not describe a network: it is nested too deeply; {AGAIN}") from None
    except (TypeError, ValueError) as error:
        raise FileError(f"{path} does not describe a network: {_sentence(error)}; {AGAIN}") from error
    if not is_layer(net):
        raise FileError(f"{path} does not describe a network: it holds {shown(header['net'])}; {AGAIN}")
    return net


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata that `save` was given, such as the command, the seed and the result."""
    return dict(_read(Path(path))[0].get("metadata", {}))


def identity(net: Any) -> str:
    """The SHA-256 of a network's structure and numbers, the same before `save` and after `load`."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    structure = encoded(net, "", arrays)
    return _checksum({"net": structure}, arrays)


def with_checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """The header with its key "sha256" set to the checksum of header and arrays."""
    return {**header, "sha256": _checksum(header, arrays)}


def matches_checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> bool:
    """Whether the header's checksum is that of header and arrays; True for a header without one."""
    return header.get("sha256") in (None, _checksum(header, arrays))


def _checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    text = json.dumps({name: value for name, value in header.items() if name != "sha256"})
    found = hashlib.sha256(json.dumps(json.loads(text), sort_keys=True).encode())
    for name, values in sorted(arrays.items()):
        found.update(f"{name} {values.dtype.str} {values.shape}".encode())
        found.update(np.ascontiguousarray(values).data)
    return found.hexdigest()


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def content_of(path: Path) -> bytes:
    """All bytes of a file; raises FileError if they do not fit the memory."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except MemoryError:
        raise FileError(
            f"{path} is damaged or not a safetensors file (it is larger than the memory); {AGAIN}"
        ) from None


def read_tensors(blob: bytes, key: str, path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], str | None]:
    """The arrays of a safetensors file, and the metadata text under `key`, None if it has none."""
    try:
        arrays = load_tensors(blob)
        size = int.from_bytes(blob[:8], "little")
        header = parsed(blob[8 : 8 + size])
    except (SafetensorError, ShapeError) as error:
        raise FileError(
            f"{path} is damaged or not a safetensors file ({_sentence(error)}); {AGAIN}"
        ) from None
    except (ValueError, TypeError, KeyError, MemoryError):
        raise FileError(
            f"{path} is damaged or not a safetensors file (its header promises other arrays than it holds); {AGAIN}"
        ) from None
    metadata = header.get("__metadata__") or {}
    return arrays, metadata.get(key)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(header, arrays) of a saved network; raises FileError unless version and checksum are right."""
    arrays, text = read_tensors(content_of(path), KEY, path)
    if text is None:
        raise FileError(
            f"{path} is a safetensors file, but not a network saved by fixedpoint_nn; name another file"
        )
    try:
        header = parsed(text, constants=True)
        demand(header, JsonObject({"net": JsonAny()}, {"metadata": JsonMap(JsonAny())}))
    except ShapeError as error:
        raise FileError(f"{path} does not describe a network: {error}; {AGAIN}") from None
    if header.get("version") != VERSION:
        raise FileError(
            f"{path} has file version {shown(header.get('version'))}, this release reads {VERSION}; "
            "use the release that wrote it"
        )
    if not matches_checksum(header, arrays):
        raise FileError(f"{path} is damaged: its content does not match its checksum; {AGAIN}")
    return header, arrays
