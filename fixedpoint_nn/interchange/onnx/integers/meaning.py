# SPDX-License-Identifier: MIT
"""The meaning of a network's integers in the file: codes of an integer type, or real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.integers.chain import Chain, Times, Within, applied, channels, line
from fixedpoint_nn.interchange.onnx.masks import MASK_BEHIND
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat


@dataclass(frozen=True)
class Codes:
    """Integers n in low..high that represent the file's integers n + zero."""

    low: int
    high: int
    zero: int = 0

    def filed(self, ints: Any) -> Any:
        """The file's integers."""
        return np.asarray(ints, np.int64) + self.zero


@dataclass(frozen=True)
class Reals:
    """Integers n in low..high that represent the real numbers chain(n).

    `summed`: other runtimes compute them as float sums in any order, so their last bits are undefined.
    `near`: the integers themselves are rounded, so no quantiser after them has exact steps. `zero` is the zero point
    that was subtracted, if n are dequantised codes.
    """

    low: int
    high: int
    chain: Chain
    summed: bool = False
    zero: int | None = None
    near: bool = False

    def filed(self, ints: Any) -> Any:
        """The file's floats; channels are the last axis."""
        ints = np.asarray(ints)
        rows = ints.reshape(1, -1) if channels(self.chain) == 1 else ints.reshape(-1, ints.shape[-1]).T
        return applied(self.chain, rows, np.float32).T.reshape(ints.shape)

    @property
    def scale(self) -> float:
        """The factor if the chain is a product of factors for all channels, positive; else raises Refused."""
        found = line(self.chain) if not any(isinstance(link, Within) for link in self.chain) else None
        if found is not None and len(found[0]) == 1 and found[0][0] > 0 and not found[1].any():
            return float(found[0][0])
        raise Refused("its operand is more than integers times one positive scale; quantise it before")

    @property
    def linear(self) -> bool:
        """Whether these are integers times one positive scale."""
        return (
            len(self.chain) == 1
            and isinstance(self.chain[0], Times)
            and channels(self.chain) == 1
            and (self.chain[0].values[0] > 0)
        )


@dataclass(frozen=True)
class MaskedReals:
    """Real numbers of which the file has minus infinity where `kept` is False; the integers there are very low."""

    reals: Reals
    kept: Array
    reason = MASK_BEHIND


Meaning = Codes | Reals


def meaning(v: OnnxValue) -> Meaning:
    """The meaning of a value's integers."""
    kind: Any = v.kind
    if isinstance(kind, MaskedReals):
        raise Refused(kind.reason)
    if not isinstance(kind, Codes | Reals):
        raise Refused(
            "its operand is floats that nothing has rounded; quantise them before it, or, if they are an input, say "
            "how they are rounded, like from_qonnx(path, input=Quantizer(Q(2, 14)))"
        )
    return kind


def reals(v: OnnxValue) -> Reals:
    """The meaning of a value, which must be real numbers; else raises Refused."""
    found = meaning(v)
    if isinstance(found, Codes):
        raise Refused(
            "it takes integers where it computes with real numbers; a DequantizeLinear must stand between"
        )
    return found


def codes(v: OnnxValue) -> Codes:
    """The meaning of a value, which must be codes; else raises Refused."""
    found = meaning(v)
    if isinstance(found, Reals):
        raise Refused(
            "it takes real numbers where it computes with integers; a QuantizeLinear must stand between"
        )
    return found


def integer_range(kind: Meaning) -> tuple[int, int]:
    """The range (low, high) of the integers."""
    return kind.low, kind.high


def format_of(kind: Meaning) -> QFormat:
    """The smallest format that holds them."""
    return QFormat.enclosing(min(kind.low, 0), max(kind.high, 0), 0, signed=kind.low < 0)
