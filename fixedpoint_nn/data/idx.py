# SPDX-License-Identifier: MIT
"""The IDX file format of MNIST: 0, 0, a type, a rank, the sizes, the values, all big-endian."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from fixedpoint_nn.data.sources import DataError
from fixedpoint_nn.numerics.arrays import Array

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_BLOCK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> Array:
    """The array in an IDX file, gzipped or not; a truncated or malformed file raises."""
    path = Path(path)
    try:
        with _opened(path) as file:
            return _read(path, file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}); get it again.") from error


def _read(path: Path, file: BinaryIO) -> Array:
    """The array of an opened IDX file; every size is checked before memory is allocated."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise DataError(
            f"{path} is not an IDX file: it starts with {magic.hex(' ') or 'nothing'}, "
            f"not with two zero bytes and a type."
        )
    dtype, rank = np.dtype(_TYPES[magic[2]]), magic[3]
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise DataError(f"{path} ends within its header; get it again.")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    promised = math.prod(shape) * dtype.itemsize
    if path.stat().st_size > 2 * promised + _BLOCK:  # gzipped or not, there is no need to read all of it
        raise DataError(
            f"{path} promises an array of shape {shape}, {promised} bytes, and holds more; get it again."
        )
    values = bytearray()
    while len(values) <= promised and (
        block := file.read(_BLOCK)
    ):  # a wrong header must not cause a huge allocation
        values += block
    if len(values) != promised:
        found = f"{len(values)} bytes of values" if len(values) < promised else "more"
        raise DataError(
            f"{path} promises an array of shape {shape}, {promised} bytes, and holds {found}; get it again."
        )
    return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb")
