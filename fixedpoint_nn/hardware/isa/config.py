# SPDX-License-Identifier: MIT
"""The configuration of an engine: the parameters of reference_rtl/engine.v."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS, AssemblyError

SHIFT_BITS = 6  # of a parameter word, above the bias
LATENCY = 15  # from a tile's last step until its first word can be read by a step, without a multiplier
MULTIPLIER_LATENCY = 3  # more cycles with one
LANES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LANES_RULE = "use 1, 2, 4, 8, 16, 32, 64, 128 or 256"
DRAINS = (1, 2, 4, 8, 16)
WORDS = (1, 2, 4, 8, 16, 32)
PACKS = (1, 2)  # lanes that share a multiplier
PACKED_BITS = (9, 8)  # of activations and weights, at most: two products in one DSP block
UNLESS_ZERO = ("WEIGHT_WINDOW", "HOST_WRITES")  # parameters that are named only where they are used
JOIN_LATENCY = 1  # more cycles of an engine whose groups of lanes can be joined


def is_lanes(lanes: object) -> bool:
    """Whether an engine can have this number of lanes."""
    return type(lanes) is int and lanes in LANES


def is_drain(drain: object, lanes: int) -> bool:
    """Whether an engine with `lanes` lanes can drain `drain` words per clock."""
    return type(drain) is int and drain in DRAINS and drain <= lanes


def drain_rule(lanes: int) -> str:
    """The rule for `drain`, for an error message."""
    return f"use 1, 2, 4, 8 or 16, and at most the {lanes} lanes"


def is_words(words: object, lanes: int) -> bool:
    """Whether an engine with `lanes` lanes can read `words` words per clock."""
    return type(words) is int and words in WORDS and words <= lanes


def words_rule(lanes: int) -> str:
    """The rule for `words`, for an error message."""
    return f"use 1, 2, 4, 8, 16 or 32, and at most the {lanes} lanes"


def is_pack(pack: object, activation_width: int, weight_width: int, lanes: int, words: int) -> bool:
    """Whether `pack` lanes of these widths can share a multiplier; they must read the same word."""
    fits = activation_width <= PACKED_BITS[0] and weight_width <= PACKED_BITS[1] and 2 * words <= lanes
    return type(pack) is int and (pack == 1 or pack == 2 and fits)


def latency(multiplied: bool, words: int) -> int:
    """Cycles from a tile's last step until its first word can be read by a step."""
    return LATENCY + MULTIPLIER_LATENCY * multiplied + JOIN_LATENCY * (words > 1)


@dataclass(frozen=True)
class EngineConfig:
    """The parameters of the Verilog module `engine`; docs/engine.md explains them. Illegal ones raise ValueError."""

    lanes: int = 8
    activation_width: int = 16
    weight_width: int = 16
    accumulator_width: int = 48
    bias_width: int = 32
    multiplier_width: int = 0
    model_width: int = 0
    model_saturate: int = 0
    product_bits: int = 0
    product_shift: int = 0
    product_signed: int = 1
    product_rounding: int = 0
    product_overflow: int = 0
    activation_depth: int = 4096
    weight_depth: int = 4096
    parameter_depth: int = 512
    table_depth: int = 4096
    program_depth: int = 1024
    drain: int = 1
    words: int = 1
    pack: int = 1
    weight_window: int = 0
    host_writes: int = 0

    def __post_init__(self) -> None:
        product = self.activation_width + max(self.activation_width, self.weight_width)
        rules = (
            ("lanes", is_lanes(self.lanes), LANES_RULE),
            ("drain", is_drain(self.drain, self.lanes), drain_rule(self.lanes)),
            ("words", is_words(self.words, self.lanes), words_rule(self.lanes)),
            (
                "pack",
                is_pack(self.pack, self.activation_width, self.weight_width, self.lanes, self.words),
                f"use 1, or 2 with words of at most {PACKED_BITS[0]} bits (here {self.activation_width}), weights of "
                f"at most {PACKED_BITS[1]} ({self.weight_width}) and two lanes or more for each word that is read "
                f"({self.lanes} for {self.words})",
            ),
            ("activation_width", 2 <= self.activation_width <= 32, "use 2 to 32"),
            ("weight_width", 2 <= self.weight_width <= 32, "use 2 to 32"),
            (
                "activation_width",
                product <= 63,
                f"a product of weights or words of {product - self.activation_width} bits takes {product}, "
                "and an accumulator has 63 at most",
            ),
            (
                "accumulator_width",
                product <= self.accumulator_width <= 63,
                f"use {product} (a product's bits) to 63",
            ),
            ("bias_width", 2 <= self.bias_width <= 63, "use 2 to 63"),
            (
                "multiplier_width",
                self.multiplier_width == 0 or 2 <= self.multiplier_width <= 32,
                "use 0 (none) or 2 to 32",
            ),
            (
                "model_width",
                self.model_width == 0 or 2 <= self.model_width <= self.accumulator_width,
                f"use 0 (none) or 2 to the accumulator's {self.accumulator_width}",
            ),
            ("model_saturate", 0 <= self.model_saturate < len(OVERFLOWS), "use 0 to 3"),
            ("product_signed", self.product_signed in (0, 1), "use 0 or 1"),
            (
                "product_bits",
                0 <= self.product_bits < self.accumulator_width,
                f"use 0 (exact) to {self.accumulator_width - 1}",
            ),
            (
                "product_shift",
                0 <= self.product_shift < self.accumulator_width,
                f"use 0 to {self.accumulator_width - 1}",
            ),
            ("product_rounding", 0 <= self.product_rounding < len(ROUNDINGS), "use 0 to 6"),
            ("product_overflow", 0 <= self.product_overflow < len(OVERFLOWS), "use 0 to 3"),
            (
                "activation_depth",
                self.activation_depth % self.lanes == 0 and self.activation_depth >= 2 * self.lanes,
                f"use a multiple of the {self.lanes} lanes, at least twice",
            ),
            ("weight_depth", self.weight_depth >= 2, "use at least 2"),
            (
                "weight_window",
                self.weight_window == 0 or 2 <= self.weight_window <= self.weight_depth,
                f"use 0 (none) or 2 to the weight memory's {self.weight_depth} rows",
            ),
            ("host_writes", self.host_writes in (0, 1), "use 0 or 1"),
            ("parameter_depth", self.parameter_depth >= 2, "use at least 2"),
            ("table_depth", self.table_depth >= 2, "use at least 2"),
            ("program_depth", self.program_depth >= 2, "use at least 2"),
            ("address_width", self.address_width <= 24, "instructions have 24 bits: choose smaller memories"),
        )
        for name, holds, way_out in rules:
            if not holds:
                raise AssemblyError(f"{name} = {getattr(self, name)} is no engine; {way_out}")

    @property
    def address_width(self) -> int:
        """The bits of registers and addresses: enough for the deepest memory, and at least 8."""
        depths: Iterator[int] = (getattr(self, f.name) for f in fields(self) if f.name.endswith("_depth"))
        return max(8, *((depth - 1).bit_length() for depth in depths))

    @property
    def resident_rows(self) -> int:
        """Rows of the weight memory that the load port fills; the rest is the window for streamed weights."""
        return self.weight_depth - self.weight_window

    @property
    def parameter_width(self) -> int:
        """The bits of a row of the parameter memory: `drain` channels."""
        return self.drain * self.channel_width

    @property
    def channel_width(self) -> int:
        """The bits of one channel's parameters: {multiplier, shift, bias}."""
        return self.multiplier_width + SHIFT_BITS + self.bias_width

    @property
    def load_width(self) -> int:
        """The bits of the load port: as wide as the widest memory, and at least 32."""
        return max(self.lanes * self.weight_width, self.parameter_width, 32)

    @property
    def latency(self) -> int:
        """Cycles from a tile's last step until its first word can be read by a step."""
        return latency(self.multiplier_width > 0, self.words)

    def verilog(self) -> dict[str, int]:
        """Names and values of the Verilog parameters of engine.v; some only if they are not 0."""
        values = {f.name.upper(): int(getattr(self, f.name)) for f in fields(self)}
        return {name: value for name, value in values.items() if value or name not in UNLESS_ZERO}
