# SPDX-License-Identifier: MIT
"""Attention masks: elements that a file sets to minus infinity before a softmax."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array

HIDES = -1e4  # values as low as this are a mask
MASK_BEHIND = (
    "some elements of its input are minus infinity, a mask that only a Softmax right behind it may take"
)


@dataclass(frozen=True)
class Masked:
    """The kind of a value with a mask: the file has minus infinity where `kept` is False, the network any number."""

    kept: Array
    place: tuple[object, ...]
    reason = MASK_BEHIND


def masked(x: OnnxValue, kept: Array) -> OnnxValue:
    """The value with a mask, which the following softmax applies."""
    try:
        larger = np.broadcast_shapes(x.dims, kept.shape) != x.dims
    except ValueError:
        raise Refused(f"its mask of shape {list(kept.shape)} does not fit to {list(x.dims)}") from None
    if larger:
        raise Refused(
            f"its mask of shape {list(kept.shape)} broadcasts its input {list(x.dims)} to a larger shape"
        )
    return replace(x, kind=Masked(kept, _place(x)))


def mask_of(x: OnnxValue) -> Array | None:
    """The mask of an unchanged value; None if it has none. Raises Refused if it was changed since."""
    if not isinstance(x.kind, Masked):
        return None
    if x.kind.place != _place(x):
        raise Refused(x.kind.reason)
    return x.kind.kept


def hides(constant: Array) -> bool:
    """Whether an added constant is a mask, with very negative elements."""
    return bool(constant.dtype.kind == "f" and constant.size and (constant <= HIDES).any())


def without_mask(constant: Array) -> tuple[Array, Array]:
    """(the constant with 0 where it masks, True where it does not mask)."""
    kept = ~(constant <= HIDES)
    return np.where(kept, constant, 0).astype(constant.dtype), kept


def _place(x: OnnxValue) -> tuple[object, ...]:
    return (x.node, x.dims, x.axes)
