# SPDX-License-Identifier: MIT
"""The first write of the Verilog that differs from the emulator's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ldexp
from typing import Any

from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.isa.weight_window import Outside
from fixedpoint_nn.hardware.verify.diagnosis import likely_cause
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat

Trace = Sequence[tuple[int, int, str]]


@dataclass(frozen=True)
class FirstDifference:
    """The first differing write: layer, time step, element, cycle, and the likely cause."""

    layer: str
    step: int  # earlier executions of this instruction
    element: int
    channels: int
    cycle: int
    expected_cycle: int
    expected: int
    word: str  # as the Verilog wrote it; it may be X
    format: QFormat
    bits: int
    cause: str

    def __str__(self) -> str:
        pixel, channel = divmod(self.element, self.channels)
        place = f"layer {self.layer or 'copy'}, time step {self.step}, element {self.element}"
        if self.channels > 1 or pixel:
            place += f" (pixel {pixel}, channel {channel})"
        sentence = f"{place}, cycle {self.cycle}: expected {self._shown(self.expected)}, got {self._got()}"
        if self.cycle != self.expected_cycle:
            sentence += f"; it was due in cycle {self.expected_cycle}"
        return sentence + (f"; likely cause: {self.cause}" if self.cause else "")

    def _shown(self, value: int) -> str:
        return f"{bit_packing.digits(self.bits) * '0'}{value & (1 << self.bits) - 1:x}"[
            -bit_packing.digits(self.bits) :
        ].join(("0x", f" ({value} = {ldexp(value, -self.format.frac_bits):g})"))

    def _got(self) -> str:
        got = read_word(self.word, self.bits)
        return f"{self.word} (undefined)" if got is None else self._shown(got)


@dataclass(frozen=True)
class ExtraWrites:
    """Writes of the Verilog beyond the expected ones: their number, and the first of them."""

    count: int
    cycle: int
    address: int
    word: str
    layer: str = ""  # of no layer

    def __str__(self) -> str:
        return (
            f"{self.count} words more than expected were written; the first is {self.word}, to address "
            f"{self.address} in cycle {self.cycle}"
        )


def read_word(word: str, bits: int) -> int | None:
    """A hexadecimal word of the simulator as a signed integer; None if it has an X."""
    try:
        return bit_packing.signed([int(word, 16)], bits)[0]
    except ValueError:
        return None


def first_divergence(
    config: EngineConfig,
    images: Images,
    port: Port,
    runs: Sequence[Mapping[str, Any]],
    vector: Ints,
    trace: Trace,
    seed: int = 1,
    outside: Outside | None = None,
    choice: Mapping[int, int] | None = None,
) -> FirstDifference | ExtraWrites | None:
    """Compare every traced write of the Verilog with the emulator's; None if they are equal."""
    twin = Twin(config, images, port, vector, outside, choice)
    layers = {run["place"]: run for run in runs}
    result, bits = twin.run(seed, writes=True), config.activation_width
    passed: dict[int, int] = {}
    at = 0
    for write in result.writes:
        step = passed.get(write.place, 0)
        passed[write.place] = step + 1
        count = len(write.values)
        actual = trace[at : at + count]
        at += count
        about = layers.get(write.place, {"layer": "argmax", "channels": 1, "format": "Q(8, 0)"})
        for element, (cycle, address, value) in enumerate(
            zip(write.cycles.tolist(), write.addresses.tolist(), write.values.tolist(), strict=True)
        ):
            got = actual[element] if element < len(actual) else (cycle, address, "no word at all")
            if got == (cycle, address, f"{value & (1 << bits) - 1:0{bit_packing.digits(bits)}x}"):
                continue
            cause = f"written to address {got[1]} instead of {address}" if got[1] != address else ""
            if not cause:
                twin_again = Twin(config, images, port, vector, outside, choice)
                twin_again.wanted = (write.place, step)
                twin_again.run(seed)
                words = [read_word(word, bits) for _, _, word in actual]
                cause = likely_cause(twin_again.found, element, write.values, words, config)
            format = QFormat.parse(about["format"])
            return FirstDifference(
                about["layer"],
                step,
                element,
                about["channels"],
                got[0],
                cycle,
                value,
                got[2],
                format,
                bits,
                cause,
            )
    return ExtraWrites(len(trace) - at, *trace[at]) if len(trace) > at else None
