# SPDX-License-Identifier: MIT
"""The engine's cost of a plan: cycles, memory and, with yosys, LUTs and DSPs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.hardware.sim.toolchain import ToolError, rtl_folder
from fixedpoint_nn.hardware.tools.synthesis import SMALL_MEMORIES, xilinx
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.precision.content import code_version, digest, sources_digest
from fixedpoint_nn.precision.cost import ramb36
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.quantize import quantize


@dataclass(frozen=True)
class EngineCost:
    """For `sweep(..., engine=EngineCost(net, shape))`: the engine's figures for one sample of this shape.

    A plan that cannot be lowered to the engine has none. `synthesise` adds LUTs and DSPs of an engine of these widths
    for Xilinx 7, if yosys is installed; it takes about a minute per plan.
    """

    net: Any
    shape: tuple[int, ...]
    lanes: int = 8
    synthesise: bool = False

    def __call__(self, plan: Plan) -> dict[str, int]:
        return engine_figures(quantize(self.net, plan), self.shape, self.lanes, self.synthesise)

    def key(self, plan: Plan) -> str:
        """The store's key of a plan's figures: a digest of everything that they depend on."""
        return digest("engine", self._common, plan.to_json())

    @cached_property
    def _common(self) -> str:
        return digest(code_version(), hardware_version(), self.net, self.shape, self.lanes, self.synthesise)


@cache
def hardware_version() -> str:
    """The digest of the sources of the engine and of its compiler."""
    verilog = sorted([*rtl_folder().glob("*.v"), *rtl_folder().glob("*.vh")])
    return digest(sources_digest("hardware"), [(path.name, path.read_bytes()) for path in verilog])


def engine_figures(
    fixed: Quantized, shape: tuple[int, ...], lanes: int = 8, synthesise: bool = False
) -> dict[str, int]:
    """Predicted cycles of one sample, RAMB36 of the five memories, and the engine's widths in bits."""
    try:
        lowered = lower(fixed.net, shape, fixed.input.format, lanes)
    except LoweringError:
        return {}
    config = lowered.config
    timing = schedule(lowered.instructions, lanes, latency=lowered.config.latency)
    return {
        **({} if timing is None else {"cycles": timing.cycles}),
        "engine_bram_blocks": _blocks(lowered),
        "activation_width": config.activation_width,
        "weight_width": config.weight_width,
        "accumulator_width": config.accumulator_width,
        **(_size(config) if synthesise else {}),
    }


def _blocks(lowered: CompiledNetwork) -> int:
    words = lowered.images.words(lowered.config)
    depths = {"activations": lowered.config.activation_depth // lowered.config.lanes}
    return sum(ramb36(depths.get(name, len(image)), width) for name, (width, image) in words.items())


def _size(config: EngineConfig) -> dict[str, int]:
    """LUTs and DSPs of an engine of these widths, with memories of one standard size, so that figures compare."""
    try:
        size = xilinx(replace(config, **SMALL_MEMORIES))
    except ToolError:
        return {}
    return {"luts": size.luts, "dsps": size.dsps}
