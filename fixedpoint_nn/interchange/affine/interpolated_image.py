# SPDX-License-Identifier: MIT
"""Images whose pixels are weighted sums of other images' pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.affine.rescale import Clamp
from fixedpoint_nn.layers.fields import cast_point, parameter
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class InterpolatedImage:
    """clamp(round((rows' @ x @ columns + offset) / 2**fraction)) for each channel of x.

    `rows` (height, new height) and `columns` (width, new width) are whole weights; `between` is the format of the
    sums along rows.
    """

    rows: Number = parameter()
    columns: Number = parameter()
    fraction: int = 0
    between: Quantizer | None = cast_point()
    offset: Number | None = parameter(default=None)
    out: Quantizer | None = cast_point()
    clamp: Clamp | None = None

    def __call__(self, x: Number) -> Any:
        down = (x.transpose(0, 2, 3, 1) @ self.rows).cast(self.between)
        total = down.transpose(0, 3, 2, 1) @ self.columns
        if self.offset is not None:
            total = total + self.offset
        y = total.scaled(-self.fraction).cast(self.out).transpose(0, 1, 3, 2)
        return y if self.clamp is None else self.clamp(y)
