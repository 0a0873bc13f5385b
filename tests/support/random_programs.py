# SPDX-License-Identifier: MIT
"""Random engines and random runs that fit them: dense, convolution, pooling, products of two memory operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Address, Halt, Instruction, Run, encode

DEPTHS = {
    "activation_depth": 4096,
    "weight_depth": 512,
    "parameter_depth": 64,
    "table_depth": 256,
    "program_depth": 512,
}
CONFIGS = [
    EngineConfig(
        lanes=4, activation_width=8, weight_width=8, accumulator_width=24, bias_width=16, **DEPTHS
    ),
    EngineConfig(
        lanes=1, activation_width=8, weight_width=6, accumulator_width=20, bias_width=24,
        model_width=14, model_saturate=1, **DEPTHS,
    ),
    EngineConfig(
        lanes=2, activation_width=12, weight_width=16, accumulator_width=40, bias_width=32,
        model_width=20, **DEPTHS,
    ),
    EngineConfig(
        lanes=8, activation_width=16, weight_width=16, accumulator_width=48, bias_width=32,
        model_width=26, product_bits=18, product_shift=7, product_rounding=6, product_overflow=1, **DEPTHS,
    ),
    EngineConfig(
        lanes=4, activation_width=9, weight_width=8, accumulator_width=24, bias_width=20, multiplier_width=32,
        **DEPTHS,
    ),
    EngineConfig(
        lanes=2, activation_width=8, weight_width=8, accumulator_width=48, bias_width=32, multiplier_width=12,
        model_width=18, **DEPTHS,
    ),
]  # fmt: skip
# Of the same kinds, engines that drain several words per clock: of a whole tile, of parts of it, of few lanes and many.
WIDE = [
    replace(CONFIGS[0], drain=2),
    replace(CONFIGS[0], drain=4),
    replace(CONFIGS[2], drain=2),
    replace(CONFIGS[3], drain=4),
    replace(CONFIGS[1], lanes=16, drain=16, activation_depth=8192, model_saturate=3),
    replace(CONFIGS[0], lanes=32, drain=8, activation_depth=16384, parameter_depth=512),
    replace(CONFIGS[2], lanes=64, activation_depth=16384, parameter_depth=512),
    replace(CONFIGS[2], lanes=128, drain=16, activation_depth=32768, parameter_depth=512),
]
# Engines that read several words per clock, for groups of lanes: for all lanes, as many as leave, more, fewer.
GROUPED = [
    replace(CONFIGS[0], words=4),
    replace(CONFIGS[0], lanes=2, words=2, drain=2),
    replace(CONFIGS[3], words=4, drain=2),
    replace(CONFIGS[1], lanes=8, words=8, model_saturate=2),
    replace(CONFIGS[4], lanes=8, words=2, drain=4),
    replace(CONFIGS[0], lanes=32, words=8, drain=8, activation_depth=16384, parameter_depth=512),
    replace(CONFIGS[2], lanes=64, words=32, drain=4, activation_depth=16384, parameter_depth=512),
    replace(CONFIGS[2], lanes=128, words=16, drain=16, activation_depth=32768, parameter_depth=512),
]
# Engines whose lanes share multipliers in pairs: narrow and widest factors, one pair and many, with all of the above.
PACKED = [
    replace(CONFIGS[0], pack=2),
    replace(CONFIGS[0], lanes=2, pack=2, drain=2),
    replace(CONFIGS[1], lanes=8, pack=2, words=4),
    replace(CONFIGS[4], pack=2, words=2, drain=4),
    replace(CONFIGS[5], pack=2, product_bits=12, product_shift=3, product_rounding=6),
    replace(CONFIGS[4], lanes=32, words=8, drain=8, pack=2, activation_depth=16384, parameter_depth=512),
]
FIRST_OUTPUT, ROOM = 1400, 4000


class RandomSource:
    """Small random integers."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def one_in(self, n: int) -> bool:
        return self.between(1, n) == 1

    def words(self, bits: int, shape: Any) -> np.ndarray:
        """Full-range words, or sometimes small ones."""
        values = self.rng.integers(-(1 << bits - 1), 1 << bits - 1, shape)
        return np.asarray(values >> self.between(0, bits - 1) if self.one_in(2) else values)


def settings(draw: RandomSource, width: int) -> dict[str, Any]:
    """The back end's part of a run."""
    chosen: dict[str, Any] = {
        "rounding": draw.between(0, 6),
        "overflow": draw.between(0, 3),
        "relu_before": draw.one_in(5),
        "relu_after": draw.one_in(5),
        "leak": draw.between(0, 3) if draw.one_in(4) else 0,
        "out_bits": draw.between(width - 3, width - 1) if draw.one_in(3) else draw.between(1, width - 1),
        "out_signed": draw.one_in(2),
        "argmax": draw.one_in(3),
        "modelled": draw.one_in(2),
        "output_gap": draw.between(0, 2),
    }
    if draw.one_in(3):
        bits = draw.between(1, 7)
        base = draw.between(0, (256 >> bits) - 1) << bits
        chosen |= {"out_bits": bits, "table": True, "table_base": base, "noise": draw.one_in(3)}
    chosen["barrier"] = chosen["argmax"] or draw.one_in(2)
    return chosen


def image(draw: RandomSource, pixel: int) -> tuple[dict[str, Any], int, int, int, int]:
    """A bounded image: its settings, its width, and strides from pixel to pixel; the first tap's distance."""
    width, height = draw.between(1, 6), draw.between(1, 6)
    x, y = draw.between(-2, 0), draw.between(-2, 0)
    sx, sy = draw.between(1, 2), draw.between(1, 2)
    bounds = {"bounded": True, "x_origin": x, "y_origin": y, "x_step": sx, "y_step": sy}
    bounds |= {"x_limit": width, "y_limit": height}
    return bounds, width, sx * pixel, sy * pixel * width, (x + y * width) * pixel


def random_run(draw: RandomSource, config: EngineConfig, output: int) -> Run:
    lanes = config.lanes
    chosen = settings(draw, config.activation_width)
    tiles, width, height = draw.between(1, 3), draw.between(1, 4), draw.between(1, 4)
    kind = draw.between(0, 3)
    if kind == 0:  # dense
        base = draw.between(0, 400)
        chosen |= {"counts": (draw.between(1, 12), 1, 1, tiles, 1, 1), "strides": (1, 0, 0, 0, 0, 0)}
        if config.words > 1 and draw.one_in(2):
            chosen |= {"short": True, "output_gap": 0}
    elif kind == 1:  # convolution
        channels, kx, ky = (draw.between(1, 3) for _ in range(3))
        pixel = channels + draw.between(0, 1)
        bounds, across, right, down, first = image(draw, pixel)
        chosen |= bounds
        chosen |= {"counts": (channels, kx, ky, tiles, width, height)}
        chosen |= {"strides": (1, pixel, pixel * across, 0, right, down)}
        base = 160 + first
    elif kind == 2:  # pooling, depthwise, element by element
        kx, ky = draw.between(1, 3), draw.between(1, 3)
        bounds, across, right, down, first = image(draw, tiles * lanes)
        chosen |= bounds
        chosen |= {"vector": True, "per_tile": draw.one_in(2), "maximum": draw.one_in(3)}
        chosen |= {"counts": (1, kx, ky, tiles, width, height)}
        chosen |= {"strides": (0, tiles * lanes, tiles * lanes * across, lanes, right, down)}
        base = max(0, lanes * 50 + first)
    else:  # products of two memory operands
        chosen |= {"vector": True, "paired": True, "per_tile": draw.one_in(2)}
        chosen |= {"counts": (2, draw.between(1, 3), 1, tiles, width, height)}
        chosen |= {"strides": (lanes * 5, lanes * 3, 0, lanes, lanes * tiles, lanes * tiles * width)}
        base = lanes * draw.between(0, 9)
    if chosen.get("maximum"):
        chosen["modelled"] = False
    if config.multiplier_width:
        chosen["twice"] = draw.one_in(2)
    last = draw.between(1, lanes)
    if config.words > 1:
        chosen["early"] = draw.between(0, 63) if chosen["barrier"] and draw.one_in(3) else 0
        if not chosen.get("vector") and not draw.one_in(4):
            chosen |= groups(draw, config, chosen)
            if chosen.get("joined"):
                last = draw.between(1, lanes >> chosen["groups"])
    return Run(
        activation=Address(base),
        weight=Address(draw.between(0, 99)),
        parameter=Address(draw.between(0, 19)),
        output=Address(output),
        last_channels=last,
        **chosen,
    )


def groups(draw: RandomSource, config: EngineConfig, chosen: dict[str, Any]) -> dict[str, Any]:
    """Groups of lanes for a run over single words, with everything that goes with them."""
    most = config.words.bit_length() - 1
    size = draw.between(1, most)
    if draw.one_in(2):  # pixels
        skip = size < most and draw.one_in(2)
        spread = bool(chosen.get("bounded")) and not draw.one_in(3)
        maximum = draw.one_in(3)
        found = {
            "groups": size,
            "skip": skip,
            "spread": spread,
            "maximum": maximum,
            "per_tile": draw.one_in(2),
        }
        stride = draw.between(1, 1 << size + skip)
        return found | {
            "strides": (*chosen["strides"][:3], stride, *chosen["strides"][4:]),
            "modelled": chosen["modelled"] and not maximum,
        }
    channel, kx, ky, tiles, width, height = chosen["counts"]
    first, *strides = chosen["strides"]
    return {
        "groups": size,
        "joined": True,
        "unused": draw.between(0, (1 << size) - 1) if draw.one_in(2) else 0,
        "counts": (channel, kx, ky, tiles, width, height),
        "strides": (first << size, *strides),
        "modelled": False,
    }


def first_output(config: EngineConfig) -> int:
    """Where the results of a random program begin: behind everything that its runs read."""
    return FIRST_OUTPUT if config.lanes <= 8 else 175 * config.lanes


def random_program(seed: int, configs: Sequence[EngineConfig] = CONFIGS) -> tuple[EngineConfig, Images, int]:
    """An engine, images with a program of six runs at most, and a seed of the noise generator."""
    draw = RandomSource(seed)
    config = configs[seed % len(configs)]
    program: list[Instruction] = []
    output = first_output(config)
    room = ROOM if config.lanes <= 8 else config.activation_depth
    for _ in range(6):
        run = random_run(draw, config, output)
        channels = run.pixel_channels(config.lanes)
        output += run.counts[4] * run.counts[5] * (channels + run.output_gap)
        if output > room:
            break
        program.append(run)
    most, depth = config.accumulator_width // 2, config.parameter_depth * config.drain
    parameters = [
        draw.rng.integers(0, 60 if config.multiplier_width else most, depth),
        draw.words(config.bias_width, depth),
    ]
    if config.multiplier_width:
        parameters.append(draw.words(config.multiplier_width, depth))
    images = Images(
        encode([*program, Halt()]),
        draw.words(config.weight_width, (512, config.lanes)),
        np.stack(parameters, 1),
        draw.words(config.activation_width, 256),
        draw.words(config.activation_width, first_output(config)),
    )
    return config, images, draw.between(0, (1 << 31) - 1)
