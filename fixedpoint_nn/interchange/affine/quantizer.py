# SPDX-License-Identifier: MIT
"""`AffineQuantizer`: real numbers to codes q that represent scale * (q - zero)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedpoint_nn.interchange.affine.multiplier import round_away
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.conversion import ConversionStats
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True, repr=False)
class AffineQuantizer(Quantizer):
    """A quantizer to an integer format whose codes q represent scale * (q - zero).

    A float x becomes round(x / scale) + zero, saturated, computed in float32 with ties away from zero as in TFLite, or
    with `ties_even` as in ONNX. Integers are taken unchanged.
    """

    scale: float = 1.0
    zero: int = 0
    ties_even: bool = False  # ties to even, as in ONNX

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.format.frac_bits != 0:
            raise ValueError(f"an affine quantizer has a format of whole numbers, not {self.format}")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"the scale of an affine quantizer is positive, not {self.scale}")

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        even = ", ties_even=True" if self.ties_even else ""
        return f"AffineQuantizer({self.format!r}{name}, scale={self.scale!r}, zero={self.zero}{even})"

    def to_bounded(self, x: Array, stats: ConversionStats | None = None) -> BoundedInts:
        """The codes of floats, as the file's runtime computes them: divided in float32, then rounded."""
        if x.dtype.kind in "iu":
            return super().to_bounded(x, stats)
        steps = x.astype(np.float32) / np.float32(self.scale)
        whole = np.rint(steps) if self.ties_even else round_away(steps)
        return super().to_bounded(whole.astype(np.float64) + self.zero, stats)

    def round_floats(self, x: Array) -> Array:
        """Floats rounded to the values of their codes."""
        return self.to_floats(self.to_bounded(np.asarray(x)).ints()).astype(x.dtype)

    def to_floats(self, ints: ArrayLike) -> NDArray[np.float32]:
        """The values of codes, scale * (q - zero), in float32 as TFLite computes them."""
        centred = (np.asarray(ints, np.int64) - self.zero).astype(np.float32)
        return np.asarray(np.float32(self.scale) * centred, np.float32)

    @classmethod
    def of(cls, dtype: str, scale: float, zero: int, name: str = "") -> AffineQuantizer:
        """The quantizer for an integer type such as "int8"."""
        about = np.iinfo(dtype)
        bits = about.bits
        return cls(QFormat(bits, 0, signed=about.min < 0), name=name, scale=float(scale), zero=int(zero))
