# SPDX-License-Identifier: MIT
"""Building ONNX nodes over float32 with quantisers: ONNX's own (QDQ), or QONNX's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.nodes import Nodes
from fixedpoint_nn.interchange.onnx.verbs import Unwritable
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

QONNX_DOMAIN, QONNX_VERSION = "qonnx.custom_op.general", 1
TYPES: dict[tuple[int, bool], Any] = {
    (8, True): np.int8,
    (8, False): np.uint8,
    (16, True): np.int16,
    (16, False): np.uint16,
    (32, True): np.int32,
}
ROUNDING_MODES = {
    Rounding.HALF_EVEN: "ROUND",
    Rounding.FLOOR: "FLOOR",
    Rounding.TOWARD_ZERO: "DOWN",
    Rounding.HALF_AWAY: "HALF_UP",
    Rounding.HALF_TOWARD_ZERO: "HALF_DOWN",
}


@dataclass
class QdqNodes(Nodes):
    """Nodes with QuantizeLinear and DequantizeLinear, whose scales are powers of two."""

    dtype: Any = np.float32

    def cast(self, x: str, quantizer: Quantizer) -> str:
        """Add the quantizer as QuantizeLinear and DequantizeLinear."""
        format = quantizer.format
        if quantizer.rounding is not Rounding.HALF_EVEN:
            raise Unwritable(
                f"rounds {quantizer.rounding.name} in {quantizer.name!r}, and QuantizeLinear HALF_EVEN"
            )
        if quantizer.overflow not in (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC):
            raise Unwritable(
                f"has the overflow {quantizer.overflow.name} in {quantizer.name!r}, and QDQ files saturate"
            )
        kind = integer_type(format, (8, 16), quantizer.name)
        scale, zero = self._scale(format), self.constant(0, kind)
        codes = self.add("QuantizeLinear", x, scale, zero)
        low = format.int_min + (quantizer.overflow is Overflow.SATURATE_SYMMETRIC and format.signed)
        about = np.iinfo(kind)
        if (low, format.int_max) != (about.min, about.max):
            codes = self.add("Clip", codes, self.constant(low, kind), self.constant(format.int_max, kind))
        return self.add("DequantizeLinear", codes, scale, zero)

    def parameter(self, value: FixedArray) -> str:
        """Add a constant of the network."""
        kind = integer_type(value.format, (8, 16, 32), "a constant")
        ints = self.constant(value.ints, kind)
        return self.add("DequantizeLinear", ints, self._scale(value.format), self.constant(0, kind))

    def _scale(self, format: QFormat) -> str:
        return self.constant(2.0**-format.frac_bits)


def integer_type(format: QFormat, widths: tuple[int, ...], where: str) -> Any:
    """The smallest integer type that holds the format; raises Unwritable."""
    for bits in widths:
        for signed in (format.signed, True):
            kind = TYPES.get((bits, signed))
            if (
                kind is not None
                and np.iinfo(kind).min <= format.int_min
                and format.int_max <= np.iinfo(kind).max
            ):
                return kind
    raise Unwritable(f"has {format.bits} bits in {where!r}, and the style holds {widths[-1]}")


@dataclass
class QonnxNodes(Nodes):
    """Nodes with QONNX's Quant, whose scales are powers of two."""

    dtype: Any = np.float32

    def cast(self, x: str, quantizer: Quantizer) -> str:
        """Add the quantizer as a Quant."""
        if quantizer.rounding not in ROUNDING_MODES:
            raise Unwritable(f"rounds {quantizer.rounding.name} in {quantizer.name!r}, which QONNX has not")
        if quantizer.overflow not in (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC):
            raise Unwritable(
                f"has the overflow {quantizer.overflow.name} in {quantizer.name!r}, and QONNX saturates"
            )
        narrow = quantizer.overflow is Overflow.SATURATE_SYMMETRIC and quantizer.format.signed
        return self._quant(x, quantizer.format, ROUNDING_MODES[quantizer.rounding], narrow)

    def parameter(self, value: FixedArray) -> str:
        """Add a constant of the network."""
        return self._quant(self.constant(value.to_float()), value.format, "ROUND")

    def _quant(self, x: str, format: QFormat, mode: str, narrow: bool = False) -> str:
        """A node Quant of QONNX that rounds to this format; returns the name of its result."""
        if format.bits == 1 and format.signed:
            raise Unwritable("has signed numbers of one bit, which are -1 and 1 in QONNX")
        return self.add(
            "Quant",
            x,
            self.constant(2.0**-format.frac_bits),
            self.constant(0.0),
            self.constant(float(format.bits)),
            domain=QONNX_DOMAIN,
            signed=int(format.signed),
            narrow=int(narrow),
            rounding_mode=mode,
        )
