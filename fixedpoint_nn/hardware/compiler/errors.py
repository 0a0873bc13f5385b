# SPDX-License-Identifier: MIT
"""`LoweringError`: the engine cannot run this network, and the sentence says why and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class LoweringError(ValueError):
    """Which layer does not fit, what it needs, and the smallest change that would fit."""


Refusal = LoweringError  # its name in version 0.1


@contextmanager
def in_layer(layer: str) -> Iterator[None]:
    """Complete a refusal that begins with a verb ("needs ...") to a sentence that names the layer."""
    try:
        yield
    except LoweringError as refusal:
        if str(refusal).startswith("Layer "):
            raise
        raise LoweringError(f"Layer {layer!r} does not fit the engine: it {refusal}.") from None
