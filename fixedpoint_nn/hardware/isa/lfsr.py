# SPDX-License-Identifier: MIT
"""The noise generator: the twin of reference_rtl/noise.v."""

from __future__ import annotations


class Noise:
    """The 32-bit linear feedback shift register of reference_rtl/noise.v."""

    def __init__(self, seed: int) -> None:
        self.state = seed & 0xFFFFFFFF or 0xFFFFFFFF

    def draw(self) -> int:
        """The current 32-bit state; then the register advances by 16 steps."""
        state = self.state
        for _ in range(16):
            s = self.state
            self.state = s >> 1 | ((s ^ s >> 1 ^ s >> 2 ^ s >> 22) & 1) << 31
        return state
