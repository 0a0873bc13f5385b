# SPDX-License-Identifier: MIT
"""One memory's part of a readback, and the images with the few words that all parts need behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import (
    OVERFLOWS,
    ROUNDINGS,
    Address,
    Halt,
    Instruction,
    Run,
    encode,
)
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat

BLOCK = 64  # rows or parameter words that one vector asks about, at least
FLOOR, WRAP = ROUNDINGS.index("FLOOR"), OVERFLOWS.index("WRAP")


@dataclass(frozen=True)
class Section:
    """The readback of one memory: a program, the words that the host writes, and the words that must come out."""

    memory: str
    images: Images
    input: Port
    output: Port
    vectors: Ints  # (vectors, words)
    expected: Ints  # (vectors, words)
    names: tuple[
        str, ...
    ]  # of a vector's output words; {0} is the first memory word that the vector asks about
    firsts: tuple[int, ...]  # that memory word, for each vector

    def name(self, vector: int, element: int) -> str:
        """Which word of the memory the output word `element` of a vector reads."""
        return self.names[element].format(self.firsts[vector])


class Room:
    """The images with the words that the sections need behind them."""

    def __init__(self, config: EngineConfig, images: Images) -> None:
        self.config, self.lanes, self.width = config, config.lanes, config.activation_width
        self.rows = config.lanes // config.drain  # of parameters that a whole tile has
        self.original = images
        self.parts = -(-config.weight_width // self.width)  # passes that show a whole weight
        self.one_row = len(images.weights)  # a row of weights that are 1
        there = images.with_multipliers() if config.multiplier_width else images.parameters
        aligned = np.pad(there, ((0, -len(there) % config.drain), (0, 0)))
        self.zero = len(aligned) // config.drain  # rows without bias that shift by 0, width, 2 * width ...
        shifts = np.repeat(np.arange(self.parts) * self.width, self.lanes)
        self.images = replace(
            images,
            weights=np.concatenate([images.weights, np.ones((1, self.lanes), np.int64)]),
            parameters=np.concatenate([aligned, self._shifting(shifts)]),
            activations=np.zeros(0, np.int64),
        )
        self.format = QFormat(self.width, 0)
        self.in_part: list[int] = []

    def _shifting(self, shifts: Ints) -> Ints:
        """Parameters that only shift."""
        columns = [shifts, np.zeros_like(shifts)]
        return np.stack([*columns, np.ones_like(shifts)] if self.config.multiplier_width else columns, 1)

    def with_program(self, code: Sequence[Instruction]) -> Images:
        """The longer images with this program, ended by a Halt."""
        return replace(self.images, program=encode([*code, Halt()]))

    def words(self, ints: Ints) -> Ints:
        """The lowest bits of each integer, as signed words of the activation memory."""
        half = 1 << self.width - 1
        wrapped: Ints = (ints + half & (1 << self.width) - 1) - half
        return wrapped

    def grown(self, sections: Sequence[Section]) -> EngineConfig:
        """The pack's engine with memories deep enough for every section."""
        activations = [int(port.addresses().max()) + 1 for s in sections for port in (s.input, s.output)] + [
            len(s.images.activations) for s in sections
        ]
        depth = max([self.config.activation_depth, *activations])
        weights = [len(s.images.weights) for s in sections]
        return replace(
            self.config,
            activation_depth=-(-depth // self.lanes) * self.lanes,
            weight_depth=max([self.config.weight_depth, *weights]),
            parameter_depth=max(
                self.config.parameter_depth, len(self.images.parameters) // self.config.drain
            ),
            table_depth=max([self.config.table_depth, *(len(s.images.tables) for s in sections)]),
            program_depth=max([self.config.program_depth, *(len(s.images.program) for s in sections)]),
        )

    def block(self, count: int) -> int:
        """How many of `count` memory words one vector reads: a power of two, so that one word selects the block."""
        indices = 1 << self.width - 1
        return max(BLOCK, 1 << (max(-(-count // indices), 1) - 1).bit_length())


def plain_run(memory: Address, **settings: object) -> Run:
    """A run from this address on that floors and wraps, without a barrier unless the settings say so."""
    plain = {"rounding": FLOOR, "overflow": WRAP, "barrier": False}
    return Run(**{"activation": memory, **plain, **settings})  # type: ignore[arg-type]
