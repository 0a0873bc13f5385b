# SPDX-License-Identifier: MIT
"""`AxiEngine`: the driver of an engine behind AXI4-Lite, with the same interface as `Engine`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.board.axi import registers
from fixedpoint_nn.board.axi.registers import AxiAddress, ControlBits, InterruptPendingBits, StatusBits
from fixedpoint_nn.board.axi.wire import Wire, signed
from fixedpoint_nn.board.driver import LOADED, Driver, EngineStatus
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.identity import Identity
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.numerics.arrays import Ints

CHUNK_BITS = 32
ADDRESS_BITS = 24


class AxiEngine(Driver):
    """An engine behind axi_engine.v, driven by its AXI4-Lite registers alone, without streams.

    `wire` is a `DevMem`, PYNQ's `MMIO`, or any object with `read(offset)` and `write(offset, value)`.

    >>> with DevMem(0x43C0_0000) as wire:  # doctest: +SKIP
    ...     engine = AxiEngine(wire)
    ...     engine.load(pack)
    ...     engine.run(pack, pack.vectors[0]).words
    """

    def __init__(self, wire: Wire, name: str = "") -> None:
        self.wire, self.name = wire, name or str(getattr(wire, "name", "these registers"))
        self.identity = self.identify()

    def identify(self) -> Identity:
        """Read the engine's parameters."""
        letters = self.wire.read(AxiAddress.IDENTIFICATION)
        if letters != registers.IDENTIFICATION:
            raise BoardError(
                f"{self.name} identifies itself as 0x{letters:08X}, and an engine as 0x{registers.IDENTIFICATION:08X}; "
                "check the address"
            )
        major = self.wire.read(AxiAddress.VERSION) >> 16
        if major != registers.MAJOR:
            raise BoardError(
                f"the engine at {self.name} has version {major} of the registers and this program version "
                f"{registers.MAJOR}; build it again"
            )
        values = {register.name.lower(): self.wire.read(register) for register in registers.PARAMETERS}
        clock, content = self.wire.read(AxiAddress.CLOCK_KHZ), self.wire.read(AxiAddress.CONTENT)
        return Identity(EngineConfig(**values), clock, content)

    # ---- single steps ----------------------------------------------------------------------------------------------

    def status(self) -> EngineStatus:
        """The status registers; the counters change while the engine runs."""
        flags = StatusBits(self.wire.read(AxiAddress.STATUS))
        counters = (AxiAddress.CYCLES, AxiAddress.MAC_CYCLES, AxiAddress.SATURATIONS, AxiAddress.ARGMAX)
        return EngineStatus(
            StatusBits.BUSY in flags,
            StatusBits.DONE in flags,
            StatusBits.ACCUMULATOR_OVERFLOW in flags,
            *map(self.wire.read, counters),
        )

    def reset(self) -> None:
        """Abort a run; memories and registers keep their contents."""
        self.command(ControlBits.ABORT)

    def start(self, seed: int = 1) -> None:
        """Start the program from its first word; `seed` starts the noise generator."""
        self._at_rest("start")
        self.wire.write(AxiAddress.SEED, seed & 0xFFFFFFFF)
        self.command(ControlBits.RUN)

    def write(self, address: int, ints: ArrayLike) -> None:
        """Write signed words to the activation memory, from `address` on."""
        words = bit_packing.unsigned(
            np.ravel(np.asarray(ints, np.int64)).tolist(), self.config.activation_width
        )
        self._in_range("write", address, len(words))
        self._at_rest("write")
        self.wire.write(AxiAddress.WORD_ADDRESS, address)
        for word in words:
            self.wire.write(AxiAddress.WORD_DATA, word)

    def read(self, address: int, count: int) -> Ints:
        """Read `count` signed words of the activation memory, from `address` on."""
        self._in_range("read", address, count)
        self._at_rest("read")
        self.wire.write(AxiAddress.WORD_ADDRESS, address)
        return np.array([signed(self.wire.read(AxiAddress.WORD_DATA)) for _ in range(count)], np.int64)

    def load_words(self, memory: str, address: int, words: Sequence[int]) -> None:
        """Load bit patterns into the memory `program`, `weights`, `parameters` or `tables`."""
        self._fits(memory, address, len(words))
        self._at_rest("load")
        widest = self.config.load_width
        kind = LOADED.index(memory) << ADDRESS_BITS
        for place, word in enumerate(words, address):
            for low in range(0, widest, CHUNK_BITS):
                self.wire.write(AxiAddress.LOAD_DATA, word >> low & 0xFFFFFFFF)
            self.wire.write(AxiAddress.LOAD_COMMIT, kind | place)

    # ---- for streams -----------------------------------------------------------------------------------------------

    def command(self, bits: ControlBits) -> None:
        """Write the register CONTROL."""
        self.wire.write(AxiAddress.CONTROL, int(bits))

    def set_tensors(self, pack: Pack, seed: int | None = None) -> None:
        """Set the addresses of a pack's input and output and its seed, for CONTROL's stream commands."""
        self._set_tensor(AxiAddress.INPUT_ADDRESS, pack.input)
        self._set_tensor(AxiAddress.OUTPUT_ADDRESS, pack.output)
        self.wire.write(AxiAddress.SEED, (pack.seed if seed is None else seed) & 0xFFFFFFFF)

    def _set_tensor(self, first: AxiAddress, place: Port) -> None:
        for number, value in enumerate((place.address, place.words, place.run, place.stride)):
            self.wire.write(first + 4 * number, value & 0xFFFFFF)

    def enable_interrupt(self, events: InterruptPendingBits) -> None:
        """Enable `irq` for these events only."""
        self.wire.write(AxiAddress.INTERRUPT_ENABLE, int(events))

    def take_interrupts(self) -> InterruptPendingBits:
        """Read and clear the pending events."""
        events = self.wire.read(AxiAddress.INTERRUPT_PENDING)
        self.wire.write(AxiAddress.INTERRUPT_PENDING, events)
        return InterruptPendingBits(events)

    def _at_rest(self, verb: str) -> None:
        if self.wire.read(AxiAddress.STATUS) & StatusBits.BUSY:
            raise BoardError(f"cannot {verb}: the engine at {self.name} is busy; wait for it, or reset it")
