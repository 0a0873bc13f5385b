# SPDX-License-Identifier: MIT
"""The model of a hardware accumulator."""

from __future__ import annotations

from dataclasses import dataclass, field

from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Accumulator:
    """A hardware accumulator: adds products in the order k = 0, 1, 2, ..., and handles overflow after each.

    With `product`, each product is quantised before it is added. Without a modelled accumulator, sums are exact.

    >>> from fixedpoint_nn import Accumulator, FixedArray, Overflow, Q
    >>> a = FixedArray.from_ints([[100, 100, -100]], Q(8, 0))
    >>> ones = FixedArray.from_ints([[1], [1], [1]], Q(2, 0))
    >>> (a @ ones).ints, a.dot(ones, Accumulator(Q(8, 0), Overflow.SATURATE)).ints
    (array([[100]]), array([[27]]))
    """

    format: QFormat
    overflow: Overflow = Overflow.WRAP
    product: Quantizer | None = None
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.format, QFormat):
            raise TypeError(f"format of an Accumulator is a QFormat, not {self.format!r}")
        if not isinstance(self.overflow, Overflow):
            raise TypeError(f"overflow of an Accumulator is an Overflow, not {self.overflow!r}")
        if self.product is not None and not isinstance(self.product, Quantizer):
            raise TypeError(f"product of an Accumulator is a Quantizer or None, not {self.product!r}")

    def shift_of(self, product_frac_bits: int) -> int:
        """The left shift that aligns a product of this many fraction bits with the accumulator."""
        frac_bits = product_frac_bits if self.product is None else self.product.format.frac_bits
        shift = self.format.frac_bits - frac_bits
        if shift < 0:
            raise ValueError(
                f"the accumulator {self.format} has {-shift} fraction bits fewer than its products; "
                "widen it, or give it a product quantizer that rounds them"
            )
        return shift

    def __repr__(self) -> str:
        product = f", product={self.product!r}" if self.product is not None else ""
        name = f", name={self.name!r}" if self.name else ""
        return f"Accumulator({self.format!r}, {self.overflow!r}{product}{name})"
