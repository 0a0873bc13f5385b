# SPDX-License-Identifier: MIT
"""Checks for operations that need all weights in the engine's memory, or one place for its input."""

from __future__ import annotations

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.port import Halves
from fixedpoint_nn.hardware.pack.manifest import PackError


def demand_resident(config: EngineConfig, what: str) -> None:
    """Raise for an engine with streamed weights; `what` names the operation."""
    if config.weight_window:
        raise PackError(
            f"{what} needs all weights in the engine, and this pack streams them through a window of "
            f"{config.weight_window} rows; emit it without --weight-window"
        )


def demand_one_input(halves: Halves | None, what: str) -> None:
    """Raise for a pack with two places for its input; `what` names the operation."""
    if halves is not None:
        raise PackError(
            f"{what} has one place for its input, and this pack has two, of which a host chooses one before each "
            "start; emit it without --ahead"
        )
