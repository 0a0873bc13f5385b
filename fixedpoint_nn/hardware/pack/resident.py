# SPDX-License-Identifier: MIT
"""A check for operations that need all weights in the engine's memory."""

from __future__ import annotations

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack.manifest import PackError


def demand_resident(config: EngineConfig, what: str) -> None:
    """Raise for an engine with streamed weights; `what` names the operation."""
    if config.weight_window:
        raise PackError(
            f"{what} needs all weights in the engine, and this pack streams them through a window of "
            f"{config.weight_window} rows; emit it without --weight-window"
        )
