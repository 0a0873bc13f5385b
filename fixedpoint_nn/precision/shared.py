# SPDX-License-Identifier: MIT
"""Messages between processes whose large arrays are memory-mapped files, not copies."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

SMALL = 1 << 16  # smaller arrays, in bytes, are part of the message


class _Packer(pickle.Pickler):
    """A pickler for messages between processes (never for files), with large arrays left out."""

    def __init__(self, stream: io.BytesIO, directory: Path) -> None:
        super().__init__(stream, pickle.HIGHEST_PROTOCOL)
        self.directory, self.count = directory, 0

    def persistent_id(self, thing: Any) -> str | None:
        if not isinstance(thing, np.ndarray) or thing.nbytes <= SMALL or thing.dtype.hasobject:
            return None
        path = self.directory / f"{self.count}.npy"
        self.count += 1
        np.save(path, thing, allow_pickle=False)
        return str(path)


class _Unpacker(pickle.Unpickler):
    """Reads a message whose large arrays are paths of files, and maps them."""

    def persistent_load(self, path: Any) -> np.ndarray[Any, Any]:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]


def pack(thing: Any, directory: Path) -> bytes:
    """`thing` as a message to other processes of this machine; its large arrays are files in `directory`."""
    stream = io.BytesIO()
    _Packer(stream, directory).dump(thing)
    return stream.getvalue()


def unpack(message: bytes) -> Any:
    """The inverse of `pack`, with large arrays mapped from their files."""
    return _Unpacker(io.BytesIO(message)).load()


def can_travel(thing: Any) -> bool:
    """Whether the thing can be sent to other processes; a function needs a name that they can import."""
    try:
        pickle.dumps(thing)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True
