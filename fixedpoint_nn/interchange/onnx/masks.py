# SPDX-License-Identifier: MIT
"""Elements that a file sets to minus infinity before a softmax, so that they take no part in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fixedpoint_nn.interchange.onnx.value import Refused, Value
from fixedpoint_nn.numerics.arrays import Array

HIDES = -1e4  # what is as low as this is no number to compute with, but a mask


@dataclass(frozen=True)
class Masked:
    """The kind of a value whose elements are minus infinity where `kept` is False, and here any number."""

    kept: Array
    place: tuple[object, ...]
    reason = (
        "some elements of its input are minus infinity, a mask that only a Softmax right behind it may take"
    )


def masked(x: Value, kept: Array) -> Value:
    """A value that says which of its elements are hidden; the softmax behind it hides them."""
    try:
        larger = np.broadcast_shapes(x.dims, kept.shape) != x.dims
    except ValueError:
        raise Refused(f"its mask of shape {list(kept.shape)} does not fit to {list(x.dims)}") from None
    if larger:
        raise Refused(f"its mask of shape {list(kept.shape)} makes more of {list(x.dims)}")
    return replace(x, kind=Masked(kept, _place(x)))


def mask_of(x: Value) -> Array | None:
    """The mask of a value that comes right from where it was made; None if there is none."""
    if not isinstance(x.kind, Masked):
        return None
    if x.kind.place != _place(x):
        raise Refused(x.kind.reason)
    return x.kind.kept


def hides(constant: Array) -> bool:
    """Is a constant that is added a mask, with zeros or other small numbers where it hides nothing?"""
    return bool(constant.dtype.kind == "f" and constant.size and (constant <= HIDES).any())


def without_mask(constant: Array) -> tuple[Array, Array]:
    """The constant with 0 where it hides, and where it does not."""
    kept = ~(constant <= HIDES)
    return np.where(kept, constant, 0).astype(constant.dtype), kept


def _place(x: Value) -> tuple[object, ...]:
    return (x.node, x.dims, x.axes)
