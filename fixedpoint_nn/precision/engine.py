# SPDX-License-Identifier: MIT
"""What the engine needs for a plan: cycles, memory, and, where yosys is there, LUTs and DSPs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixedpoint_nn.hardware.lowered import lower
from fixedpoint_nn.hardware.refusal import Refusal
from fixedpoint_nn.hardware.schedule import schedule
from fixedpoint_nn.precision.cost import ramb36
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.quantize import quantize
from fixedpoint_nn.quantized import Quantized

EngineCost = Callable[[Plan], dict[str, int]]


def engine_cost(net: Any, shape: tuple[int, ...], lanes: int = 8) -> EngineCost:
    """For `sweep(..., engine=...)`: figures of the engine for samples of this shape.

    A plan that the engine refuses (a word wider than it has, say) has none.
    """

    def figures(plan: Plan) -> dict[str, int]:
        return engine_figures(quantize(net, plan), shape, lanes)

    return figures


def engine_figures(fixed: Quantized, shape: tuple[int, ...], lanes: int = 8) -> dict[str, int]:
    """Predicted cycles of one sample, RAMB36 of its five memories, and the widths of the engine."""
    try:
        lowered = lower(fixed.net, shape, fixed.input.format, lanes)
    except Refusal:
        return {}
    config = lowered.config
    words = lowered.images.words(config)
    depths = {"activations": config.activation_depth // lanes}
    blocks = sum(ramb36(depths.get(name, len(image)), width) for name, (width, image) in words.items())
    timing = schedule(lowered.instructions, lanes)
    return {
        **({} if timing is None else {"cycles": timing.cycles}),
        "engine_bram_blocks": blocks,
        "activation_width": config.activation_width,
        "weight_width": config.weight_width,
        "accumulator_width": config.accumulator_width,
    }
