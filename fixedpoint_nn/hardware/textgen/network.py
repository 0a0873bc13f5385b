# SPDX-License-Identifier: MIT
"""Language models for the engine: their parts, one time step, and sampling from the logits."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.compiler.gumbel_table import NoiseTable
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.qformat import QFormat

END = 0


@dataclass(frozen=True)
class SamplingConfig:
    """Settings of text sampling.

    `length` is the total number of characters. `temperature` 0 is argmax; higher values flatten the distribution.
    `restart` resets the states to zero after each end mark. The noise table has 2**noise_bits words.
    """

    length: int
    temperature: float = 0.0
    restart: bool = True
    noise_bits: int = 10

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"a text has one character or more, not {self.length}")
        if self.temperature < 0:
            raise ValueError(f"a temperature is 0 (always the likeliest) or more, not {self.temperature}")


@dataclass(frozen=True)
class TextNetwork:
    """A quantised network with the parts `embedding`, `lstm` (any recurrent layers) and `head`, step by step."""

    fixed: Quantized

    def __post_init__(self) -> None:
        parts = getattr(self.fixed.net, "parts", {})
        if not {"embedding", "lstm", "head"} <= set(parts):
            raise ValueError(
                f"a network that writes has the parts embedding, lstm and head, not {', '.join(parts)}"
            )

    @property
    def net(self) -> Any:
        """The quantised layers."""
        return self.fixed.net

    @property
    def symbols(self) -> int:
        """The size of the alphabet: the rows of the embedding."""
        return int(self.net["embedding"].weight.shape[0])

    def states(self, like: Any) -> tuple[Any, ...]:
        """The initial states of zeros, of the same kind of number as `like`."""
        return tuple(self.net["lstm"].initial(like))

    def step(self, token: Any, *states: Any) -> tuple[Any, ...]:
        """One time step: a token (1,) and the states -> logits (1, symbols) and the next states."""
        x, after = self.net["embedding"](token), []
        for cell in self.net["lstm"].cells:
            count = len(cell.states)
            x, *new = cell(x, *states[:count])
            after += new
            states = states[count:]
        return (self.net["head"](x), *after)

    def logits_format(self) -> QFormat:
        """The format of the logits."""
        token = FixedArray.from_ints(np.zeros(1, np.int64), self.fixed.input.format)
        logits: FixedArray = self.step(token, *self.states(token))[0]
        return logits.format

    def noise(self, how: SamplingConfig) -> NoiseTable | None:
        """The table of Gumbel noise for the logits; None at temperature 0."""
        if how.temperature == 0:
            return None
        exact = Fraction(how.temperature).limit_denominator(1 << 16)
        return NoiseTable(how.noise_bits, self.logits_format().frac_bits, exact)
