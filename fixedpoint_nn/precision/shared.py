# SPDX-License-Identifier: MIT
"""Work that processes share: large arrays are written once and mapped by every worker, copied by none."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

SMALL = 1 << 16  # arrays of fewer bytes travel with the message


class _Packer(pickle.Pickler):
    """Pickle for the wire between processes (never for a file), with large arrays left out."""

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
    def persistent_load(self, path: Any) -> np.ndarray[Any, Any]:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]


def pack(thing: Any, directory: Path) -> bytes:
    """A message for other processes of this machine; its large arrays lie in `directory`."""
    stream = io.BytesIO()
    _Packer(stream, directory).dump(thing)
    return stream.getvalue()


def unpack(message: bytes) -> Any:
    """What `pack` was given, with its large arrays mapped from their files."""
    return _Unpacker(io.BytesIO(message)).load()


def can_travel(thing: Any) -> bool:
    """Whether other processes can have the thing: a function must have a name that they can import."""
    try:
        pickle.dumps(thing)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True
