# SPDX-License-Identifier: MIT
"""Weights as text, for plans that carry weights: `float32 784x256 ` and the compressed bytes in base 64."""

from __future__ import annotations

import base64
import binascii
import zlib
from math import prod

import numpy as np

from fixedpoint_nn.numerics.arrays import Array

KINDS = ("float32", "float64")
LARGEST = 1 << 28  # bytes of one array


def text_of_array(values: Array) -> str:
    """The text of an array of floats."""
    shape = "x".join(map(str, values.shape))
    packed = zlib.compress(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes(), 9)
    return f"{values.dtype.name} {shape or '-'} {base64.b64encode(packed).decode()}"


def array_of_text(text: str) -> Array:
    """The inverse of `text_of_array`; raises ValueError with the end of a sentence."""
    kind, _, rest = text.partition(" ")
    shape, _, packed = rest.partition(" ")
    sizes = [] if shape == "-" else shape.split("x")
    if kind not in KINDS or not all(size.isdecimal() and len(size) < 10 for size in sizes):
        raise ValueError(f"its weights begin with {text[:40]!r}, not with a kind and a shape")
    dtype = np.dtype(kind).newbyteorder("<")
    wanted = prod(map(int, sizes)) * dtype.itemsize
    if wanted > LARGEST:
        raise ValueError(f"its weights of shape {shape} are larger than {LARGEST} bytes")
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(base64.b64decode(packed, validate=True), wanted + 1)
    except (binascii.Error, zlib.error):
        raise ValueError("its weights are damaged") from None
    if len(content) != wanted:
        raise ValueError(f"its weights have not the {wanted} bytes that shape {shape} needs")
    values = np.frombuffer(content, dtype).reshape([int(size) for size in sizes]).astype(kind)
    if not np.isfinite(values).all():
        raise ValueError("its weights have a value that is no number")
    return np.asarray(values)
