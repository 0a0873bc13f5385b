# SPDX-License-Identifier: MIT
"""What a TFLite file says, as plain Python: tensors and operators in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array


@dataclass(frozen=True)
class Tensor:
    """A tensor: its scales (none: not quantised), and its data if it is a constant."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    axis: int
    data: Array | None
    variable: bool
    sparse: bool

    @property
    def scale(self) -> float:
        """The scale, as the double that TFLite makes of its 32-bit float."""
        return self.scales[0]

    @property
    def zero(self) -> int:
        """The zero point of the whole tensor."""
        return self.zeros[0] if self.zeros else 0

    @property
    def codes(self) -> tuple[int, int]:
        """The lowest and the highest integer of the type."""
        about = np.iinfo(self.dtype)
        return int(about.min), int(about.max)

    @property
    def centred(self) -> tuple[int, int]:
        """The same, less the zero point."""
        low, high = self.codes
        return low - self.zero, high - self.zero


@dataclass(frozen=True)
class Operator:
    """One operator; -1 stands for an input that is left out."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    intermediates: tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """The main graph of a file."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
