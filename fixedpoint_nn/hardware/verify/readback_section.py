# SPDX-License-Identifier: MIT
"""One memory's section of a readback, and the extended images that all sections share."""

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

BLOCK = 64  # the smallest number of rows or parameter words per vector
FLOOR, WRAP = ROUNDINGS.index("FLOOR"), OVERFLOWS.index("WRAP")


@dataclass(frozen=True)
class ReadbackSection:
    """The readback of one memory: a program, its input words, and the expected output words."""

    memory: str
    images: Images
    input: Port
    output: Port
    vectors: Ints  # (vectors, words)
    expected: Ints  # (vectors, words)
    names: tuple[str, ...]  # of a vector's output words; {0} is the first memory word of the vector
    firsts: tuple[int, ...]  # that memory word, for each vector

    def name(self, vector: int, element: int) -> str:
        """The name of the memory word that output word `element` of a vector shows."""
        return self.names[element].format(self.firsts[vector])


class ReadbackImages:
    """The images, extended by the words that the sections need."""

    def __init__(self, config: EngineConfig, images: Images) -> None:
        self.config, self.lanes, self.width = config, config.lanes, config.activation_width
        self.rows = config.lanes // config.drain  # of parameters of a full tile
        self.original = images
        self.parts = -(-config.weight_width // self.width)  # passes for a whole weight
        self.one_row = len(images.weights)  # the row of weights that are 1
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
        """Parameters (shifts, 2 or 3) with these shifts, bias 0 and multiplier 1."""
        columns = [shifts, np.zeros_like(shifts)]
        return np.stack([*columns, np.ones_like(shifts)] if self.config.multiplier_width else columns, 1)

    def with_program(self, code: Sequence[Instruction]) -> Images:
        """The extended images with this program, ended by a Halt."""
        return replace(self.images, program=encode([*code, Halt()]))

    def words(self, ints: Ints) -> Ints:
        """The low bits of each integer, as signed activation words."""
        half = 1 << self.width - 1
        wrapped: Ints = (ints + half & (1 << self.width) - 1) - half
        return wrapped

    def grown(self, sections: Sequence[ReadbackSection]) -> EngineConfig:
        """The pack's engine, with memories deep enough for every section."""
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
        """The number of memory words that one vector reads: a power of two, so that one word selects the block."""
        indices = 1 << self.width - 1
        return max(BLOCK, 1 << (max(-(-count // indices), 1) - 1).bit_length())


def plain_run(memory: Address, **settings: object) -> Run:
    """A run from this address that floors and wraps, without a barrier unless `settings` have one."""
    plain = {"rounding": FLOOR, "overflow": WRAP, "barrier": False}
    return Run(**{"activation": memory, **plain, **settings})  # type: ignore[arg-type]
