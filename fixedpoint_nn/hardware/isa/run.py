# SPDX-License-Identifier: MIT
"""The `Run` instruction: six nested loops of multiply-accumulate steps, and the requantising of their sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fixedpoint_nn.hardware.isa.fields import Address, AssemblyError, Field, address_fields
from fixedpoint_nn.hardware.isa.instruction import Instruction
from fixedpoint_nn.numerics.mode_codes import OVERFLOWS, ROUNDINGS

SHORT_WORDS = 13  # of a run of one pixel, which has no words for the loops over pixels
LOOPS = ("channel", "kx", "ky", "tile", "x", "y")  # innermost first


@dataclass(frozen=True)
class Run(Instruction):
    """The arithmetic of one layer: a loop nest of multiply-accumulate steps, and the requantiser's settings.

    `counts` and `strides` are those of `LOOPS`, innermost first; a stride is a distance in activation words. The jumps
    that the engine adds when a loop wraps are computed from them.
    """

    activation: Address = Address()
    weight: Address = Address()
    parameter: Address = Address()
    output: Address = Address()
    counts: tuple[int, ...] = (1, 1, 1, 1, 1, 1)
    strides: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    last_channels: int = 1
    output_gap: int = 0
    barrier: bool = True
    early: int = 0
    vector: bool = False
    groups: int = 0
    joined: bool = False
    unused: int = 0
    skip: bool = False
    spread: bool = False
    paired: bool = False
    maximum: bool = False
    bounded: bool = False
    per_tile: bool = False
    modelled: bool = False
    relu_before: bool = False
    relu_after: bool = False
    leak: int = 0
    twice: bool = False
    table: bool = False
    table_base: int = 0
    noise: bool = False
    argmax: bool = False
    write: bool = True
    rounding: int = ROUNDINGS.index("HALF_EVEN")
    overflow: int = OVERFLOWS.index("SATURATE")
    out_bits: int = 16
    out_signed: bool = True
    x_origin: int = 0
    y_origin: int = 0
    x_step: int = 1
    y_step: int = 1
    x_limit: int = 0
    y_limit: int = 0
    short: bool = False
    streamed: bool = False

    opcode: ClassVar[int] = 1
    words: ClassVar[int] = 20
    layout: ClassVar[tuple[Field, ...]] = (
        Field("barrier", 0, 0, 1, meaning="wait until every earlier result is written"),
        Field(
            "vector",
            0,
            1,
            1,
            meaning="lane j reads word j of the row, instead of all lanes the one addressed word",
        ),
        Field(
            "paired",
            0,
            2,
            1,
            meaning="steps come in pairs: the first reads the activation, the second what multiplies it",
        ),
        Field(
            "maximum",
            0,
            3,
            1,
            meaning="keep the product of the largest activation instead of the sum of products",
        ),
        Field("bounded", 0, 4, 1, meaning="steps outside 0 <= x < x_limit, 0 <= y < y_limit read padding"),
        Field(
            "per_tile",
            0,
            5,
            1,
            meaning="weights and parameters start again with every tile, not with every pixel",
        ),
        Field(
            "modelled",
            0,
            6,
            1,
            meaning="use the modelled accumulator (engine parameters) instead of the exact one",
        ),
        Field("relu_before", 0, 7, 1, meaning="a negative biased sum becomes 0"),
        Field("relu_after", 0, 8, 1, meaning="a negative requantised word becomes 0"),
        Field(
            "table",
            0,
            9,
            1,
            meaning="the word written is tables[table_base + the requantised word's low out_bits bits]",
        ),
        Field(
            "noise",
            0,
            10,
            1,
            meaning="the table's index is the noise generator's low out_bits bits; needs table",
        ),
        Field("argmax", 0, 11, 1, meaning="start a new search for the largest word written and its index"),
        Field("write", 0, 12, 1, meaning="write the words to the activation memory"),
        Field(
            "rounding", 0, 13, 3, meaning=", ".join(f"{code} {name}" for code, name in enumerate(ROUNDINGS))
        ),
        Field(
            "overflow", 0, 16, 2, meaning=", ".join(f"{code} {name}" for code, name in enumerate(OVERFLOWS))
        ),
        Field("out_bits", 0, 18, 6, meaning="width of the result's format, and of the table's index"),
        Field("out_signed", 0, 24, 1, meaning="the result's format is signed"),
        Field("joined", 0, 25, 1, meaning="the sums of the groups of lanes are added, lane by lane"),
        Field(
            "spread",
            0,
            26,
            1,
            meaning="the words of a step, and the tiles of a pixel, are neighbouring columns of the image",
        ),
        Field("skip", 0, 27, 1, meaning="the groups read every second word"),
        Field("short", 0, 31, 1, meaning="one pixel: the words from 13 on are left out, and count as 0"),
        *address_fields("activation", 1, "first activation word"),
        *address_fields("weight", 2, "first row of weights"),
        Field("streamed", 2, 27, 1, meaning="the weights come from outside, the next rows of the stream"),
        *address_fields("parameter", 3, "first row of parameters"),
        *address_fields("output", 4, "where the first result goes"),
        Field("table_base", 5, 0, 24, meaning="first word of the table, a multiple of 2**out_bits"),
        Field("leak", 5, 24, 6, meaning="a negative biased sum is shifted this many bits more"),
        Field(
            "twice",
            5,
            30,
            1,
            meaning="shifts of 32 and more round half up after 31 bits, then as `rounding` says; others half up",
        ),
        Field("channel.count", 6, 0, 16, minus_one=True, meaning="steps of the innermost loop"),
        Field("kx.count", 6, 16, 8, minus_one=True, meaning="window columns"),
        Field("ky.count", 6, 24, 8, minus_one=True, meaning="window rows"),
        Field(
            "tile.count",
            7,
            0,
            16,
            minus_one=True,
            meaning="tiles of LANES channels, or of LANES / 2**groups if joined",
        ),
        Field(
            "last_channels",
            7,
            16,
            8,
            minus_one=True,
            meaning="channels of the last tile, 1 to those of a tile",
        ),
        Field(
            "early",
            7,
            24,
            6,
            meaning="a run with `barrier` begins so many cycles before all results are readable",
        ),
        Field("x.count", 8, 0, 12, minus_one=True, meaning="pixels of a row"),
        Field("y.count", 8, 12, 12, minus_one=True, meaning="rows"),
        Field(
            "channel.jump", 9, 0, 24, signed=True, meaning="added to the activation address after each step"
        ),
        Field(
            "groups",
            9,
            24,
            3,
            meaning="there are 2**groups groups of lanes, and each reads a word of its own",
        ),
        Field(
            "unused",
            9,
            27,
            5,
            meaning="words that count as 0 in the channel loop's last step, the last ones of it",
        ),
        Field("kx.jump", 10, 0, 24, signed=True, meaning="instead, when the channels wrap"),
        Field("ky.jump", 11, 0, 24, signed=True, meaning="instead, when the columns wrap too"),
        Field("tile.jump", 12, 0, 24, signed=True, meaning="instead, when the window wraps"),
        Field("x.jump", 13, 0, 24, signed=True, meaning="instead, when the tiles wrap too"),
        Field("y.jump", 14, 0, 24, signed=True, meaning="instead, when the row wraps too"),
        Field("output_gap", 15, 0, 24, signed=True, meaning="words skipped in the output after each pixel"),
        Field("x_origin", 16, 0, 13, signed=True, meaning="column of the first pixel's first tap"),
        Field("y_origin", 16, 13, 13, signed=True, meaning="row of the first pixel's first tap"),
        Field("x_step", 17, 0, 8, meaning="columns from pixel to pixel"),
        Field("y_step", 17, 8, 8, meaning="rows from pixel to pixel"),
        Field("x_limit", 18, 0, 13, meaning="columns of the image"),
        Field("y_limit", 19, 0, 13, meaning="rows of the image"),
    )

    def __post_init__(self) -> None:
        if len(self.counts) != len(LOOPS) or len(self.strides) != len(LOOPS):
            raise AssemblyError(
                f"counts {self.counts} and strides {self.strides} must have one entry for each of {LOOPS}"
            )
        if self.paired and (not self.vector or self.counts[0] % 2):
            raise AssemblyError(
                "paired steps read rows two by two: set vector=True and an even channel count, "
                f"not {self.counts[0]}"
            )
        if self.maximum and (self.modelled or self.paired):
            raise AssemblyError(
                "maximum keeps one product and adds none; it goes with neither modelled nor paired"
            )
        self._check_groups()
        if self.short:
            plain = Run()
            others = (
                "output_gap",
                "bounded",
                "x_origin",
                "y_origin",
                "x_step",
                "y_step",
                "x_limit",
                "y_limit",
            )
            if (
                self.counts[4:] != (1, 1)
                or self.strides[4:] != (0, 0)
                or any(getattr(self, name) != getattr(plain, name) for name in others)
            ):
                raise AssemblyError(
                    "short leaves out the words that say where pixels are; it is for one pixel, without padding"
                )
            object.__setattr__(self, "words", SHORT_WORDS)
        if not self.barrier and self.argmax:
            raise AssemblyError("argmax without barrier would mix two searches; set barrier=True")
        if self.noise and not self.table:
            raise AssemblyError("noise draws from a table; set table=True and table_base")
        if self.streamed and self.paired:
            raise AssemblyError(
                "paired multiplies words of the activation memory; a streamed run has weights: use one of them"
            )
        if self.early and not self.barrier:
            raise AssemblyError(
                f"early = {self.early} shortens the wait of a barrier, and this run has none; set barrier=True"
            )

    def _check_groups(self) -> None:
        """Raise AssemblyError for settings of groups that exclude each other."""
        if self.groups and self.vector:
            raise AssemblyError(
                "with vector each lane reads a word of a row, with groups each group a word; use one of them"
            )
        if self.joined and (not self.groups or self.maximum or self.modelled):
            raise AssemblyError(
                "joined adds the exact sums of groups of lanes; set groups, and neither maximum nor modelled"
            )
        if self.unused and not (self.joined and self.unused < 1 << self.groups):
            raise AssemblyError(
                f"unused = {self.unused} words of a step do not count; set joined, and fewer than the "
                f"{1 << self.groups} groups"
            )
        if self.skip and (self.joined or not self.groups):
            raise AssemblyError(
                "skip leaves out every second word between groups; set groups, and not joined"
            )
        if self.spread and not self.bounded:
            raise AssemblyError(
                "spread says which columns the words of a bounded run are in; set bounded=True"
            )

    @property
    def taps(self) -> int:
        """The number of steps of a tile."""
        channel, kx, ky = self.counts[:3]
        return channel * kx * ky

    @property
    def fired(self) -> int:
        """The number of multiplying steps of a tile: half of the steps of a paired run."""
        return self.taps // (2 if self.paired else 1)

    @property
    def step_words(self) -> int:
        """The span in words of a step's reads, unless it reads a row."""
        return 1 << self.groups + self.skip

    def tile_channels(self, lanes: int) -> int:
        """The number of sums of a full tile with `lanes` lanes."""
        return lanes >> self.groups if self.joined else lanes

    def pixel_channels(self, lanes: int) -> int:
        """The number of sums of all tiles of a pixel with `lanes` lanes."""
        return (self.counts[3] - 1) * self.tile_channels(lanes) + self.last_channels

    @property
    def jumps(self) -> tuple[int, ...]:
        """What each loop adds to the address when it advances: its stride minus the extent of its inner loops."""
        walked, jumps = 0, []
        for count, stride in zip(self.counts, self.strides, strict=True):
            jumps.append(stride - walked)
            walked += stride * (count - 1)
        return tuple(jumps)

    def _stored(self, name: str) -> int:
        loop, _, part = name.partition(".")
        if part == "count":
            return self.counts[LOOPS.index(loop)]
        if part == "jump":
            return self.jumps[LOOPS.index(loop)]
        return super()._stored(name)

    @classmethod
    def length(cls, first: int) -> int:
        """The number of words of the run that begins with this word."""
        return SHORT_WORDS if first >> 31 else cls.words

    @classmethod
    def _arguments(cls, stored: dict[str, int]) -> dict[str, Any]:
        arguments = super()._arguments(stored)
        counts = tuple(stored[f"{loop}.count"] for loop in LOOPS)
        walked, strides = 0, []
        for loop, count in zip(LOOPS, counts, strict=True):
            strides.append(stored[f"{loop}.jump"] + walked)
            walked += strides[-1] * (count - 1)
        if stored["short"]:
            strides[4:] = 0, 0
            arguments |= {"x_step": 1, "y_step": 1}
        return arguments | {"counts": counts, "strides": tuple(strides)}
