# SPDX-License-Identifier: MIT
"""`LoweringError`: the engine cannot run a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class LoweringError(ValueError):
    """Raised for a network that the engine cannot run; names the layer, its need, and the smallest change."""


Refusal = LoweringError  # its name in version 0.1


@contextmanager
def in_layer(layer: str) -> Iterator[None]:
    """A context that completes messages that begin with a verb ("needs ...") with the name of the layer."""
    try:
        yield
    except LoweringError as refusal:
        if str(refusal).startswith("Layer "):
            raise
        raise LoweringError(f"Layer {layer!r} does not fit the engine: it {refusal}.") from None
