# SPDX-License-Identifier: MIT
"""Progressive quantisation: the width falls by one or two bits at a time, with training in between."""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.training.methods.method import Method, Stage


@dataclass(frozen=True)
class ProgressiveBits(Method):
    """Stages with `extra` more bits each, then half of the epochs at the plan's width (Zhuang et al., 2018)."""

    extra: tuple[int, ...] = (4, 2, 1)

    def stages(self, epochs: int) -> tuple[Stage, ...]:
        """The stages with extra bits share half of the epochs; with few epochs, the widest are omitted."""
        early = self.extra[-(epochs // 2) :] if epochs > 1 else ()
        if not early:
            return (Stage(epochs),)
        each, rest = divmod(epochs // 2, len(early))
        stages = [Stage(each + (i < rest), bits) for i, bits in enumerate(early)]
        return (*stages, Stage(epochs - epochs // 2))
