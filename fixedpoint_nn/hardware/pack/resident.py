# SPDX-License-Identifier: MIT
"""What can only be done with an engine that holds all of its weights."""

from __future__ import annotations

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack.manifest import PackError


def demand_resident(config: EngineConfig, what: str) -> None:
    """Refuse an engine whose weights come from outside."""
    if config.weight_window:
        raise PackError(
            f"{what} needs all weights in the engine, and this pack streams them through a window of "
            f"{config.weight_window} rows; emit it without --weight-window"
        )
