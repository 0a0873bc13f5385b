# SPDX-License-Identifier: MIT
"""The parameters that an engine reports, and whether it can run a pack."""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.frames import VERSION
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack.resident import demand_resident

# As uart_engine.v puts them together: bytes, then depths of three bytes. That of the lanes holds one less, that of the
# drain in its upper three bits the words that are read, as a power of two; above the multiplier's bits stand whether
# the host may write while the engine is busy, and whether two lanes share one of the lanes' multipliers.
BYTES = (
    *("lanes", "drain", "activation_width", "weight_width", "accumulator_width", "bias_width"),
    *(
        "multiplier_width",
        "model_width",
        "model_saturate",
        "product_bits",
        "product_shift",
        "product_signed",
        "product_rounding",
    ),
    "product_overflow",
)
DEPTHS = ("activation_depth", "weight_depth", "parameter_depth", "table_depth", "program_depth")
LENGTH = 1 + len(BYTES) + 3 * len(DEPTHS) + 3 + 4

SAME = ("lanes", "drain", "words", "pack", "activation_width", "multiplier_width")
AT_LEAST = ("weight_width", "accumulator_width", "bias_width", *DEPTHS)
MODELLED = tuple(name for name in BYTES if name.startswith(("model_", "product_")))


@dataclass(frozen=True)
class Identity:
    """An engine on a board: its parameters, its clock in kHz, and the number of its built-in images."""

    config: EngineConfig
    clock_khz: int
    content: int

    @classmethod
    def parse(cls, content: bytes, place: str) -> Identity:
        """The identity in an answer to IDENTIFY."""
        if content[0] != VERSION:
            raise BoardError(
                f"the board at {place} speaks version {content[0]} of the protocol and this program version "
                f"{VERSION}; build the board again"
            )
        if len(content) != LENGTH:
            raise BoardError(
                f"the board at {place} identifies itself in {len(content)} bytes and not in {LENGTH}"
            )
        values = dict(zip(BYTES, content[1 : 1 + len(BYTES)], strict=True))
        values["lanes"] += 1
        values["words"] = 1 << (values["drain"] >> 5)
        values["drain"] &= 31
        values["pack"] = 1 + (values["multiplier_width"] >> 7)
        values["host_writes"] = values["multiplier_width"] >> 6 & 1
        values["multiplier_width"] &= 63
        rest = content[1 + len(BYTES) :]
        numbers = [int.from_bytes(rest[start : start + 3], "little") for start in range(0, 18, 3)]
        values |= dict(zip(DEPTHS, numbers[:5], strict=True))
        return cls(EngineConfig(**values), numbers[5], int.from_bytes(rest[18:], "little"))

    def refuse(self, needed: EngineConfig, what: str) -> None:
        """Raise, naming the first unsuitable parameter, unless the engine can run what needs `needed`."""
        demand_resident(needed, "An engine on a board")
        modelled = MODELLED if needed.model_width else ()
        for name in (*SAME, *modelled, *AT_LEAST):
            wanted, built = getattr(needed, name), getattr(self.config, name)
            if built == wanted or (name in AT_LEAST and built > wanted):
                continue
            least = " or more" if name in AT_LEAST else ""
            raise BoardError(
                f"{what} needs {name.upper()} = {wanted}{least} and the engine on the board is built with {built}; "
                f"build the board for this pack (`fixedpoint-nn board build`)"
            )
