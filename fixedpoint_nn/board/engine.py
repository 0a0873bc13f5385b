# SPDX-License-Identifier: MIT
"""`Engine`: the driver of an engine on a board, over any byte port."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.board import frames
from fixedpoint_nn.board.driver import Driver, EngineStatus
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.frames import Command
from fixedpoint_nn.board.identity import Identity
from fixedpoint_nn.board.link import ANSWER_SECONDS, CHUNK, Link
from fixedpoint_nn.board.ports import ByteStream
from fixedpoint_nn.files.closing import Closing
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.numerics.arrays import Ints

LOADS = {
    "program": Command.LOAD_PROGRAM,
    "weights": Command.LOAD_WEIGHTS,
    "parameters": Command.LOAD_PARAMETERS,
    "tables": Command.LOAD_TABLES,
}


class Engine(Link, Driver, Closing):
    """An engine on a board, behind a `ByteStream` such as `SerialPort`.

    A call that fails raises `BoardError`; the next call works again, because the chip aborts an incomplete request,
    and late answers are discarded.

    >>> with Engine(SerialPort("/dev/ttyUSB0")) as engine:  # doctest: +SKIP
    ...     engine.load(pack)
    ...     engine.run(pack, pack.vectors[0]).words
    """

    def __init__(self, port: ByteStream, seconds: float = ANSWER_SECONDS) -> None:
        super().__init__(port, seconds)
        self.name = port.name
        self.identity = self.identify()

    def close(self) -> None:
        """Close the port."""
        self.port.close()

    # ---- requests --------------------------------------------------------------------------------------------------

    def identify(self) -> Identity:
        """Read the board's parameters again."""
        self.identity = Identity.parse(self._ask(Command.IDENTIFY), self.port.name)
        return self.identity

    def status(self) -> EngineStatus:
        """The status registers; during a run the bytes of a counter may be from different clocks."""
        content = self._ask(Command.STATUS)
        numbers = [int.from_bytes(content[place : place + 4], "little") for place in range(1, 17, 4)]
        flags = content[0]
        return EngineStatus(bool(flags & 1), bool(flags & 2), bool(flags & 4), *numbers)

    def reset(self) -> None:
        """Abort a run; the memories keep their contents."""
        self._ask(Command.RESET)

    def start(self, seed: int = 1) -> None:
        """Start the program from its first word; `seed` starts the noise generator."""
        self._send(Command.START, lambda tag: frames.start_request(tag, seed & 0xFFFFFFFF))

    def write(self, address: int, ints: ArrayLike) -> None:
        """Write signed words to the activation memory, from `address` on."""
        words = bit_packing.unsigned(
            np.ravel(np.asarray(ints, np.int64)).tolist(), self.config.activation_width
        )
        self._in_range("write", address, len(words))
        size = self._word_bytes
        for first in range(0, len(words), CHUNK // size):
            part = words[first : first + CHUNK // size]
            self._ask(Command.WRITE, address + first, len(part), _bytes(part, size))

    def read(self, address: int, count: int) -> Ints:
        """Read `count` signed words of the activation memory, from `address` on."""
        self._in_range("read", address, count)
        size, found = self._word_bytes, b""
        for first in range(0, count, CHUNK // size):
            part = min(CHUNK // size, count - first)
            content = self._ask(Command.READ, address + first, part)
            if len(content) != part * size:
                raise BoardError(f"{self.port.name} sent {len(content)} bytes for {part} words; call again")
            found += content
        words = [
            int.from_bytes(found[place : place + size], "little", signed=True)
            for place in range(0, len(found), size)
        ]
        return np.array(words, np.int64)

    def load_words(self, memory: str, address: int, words: Sequence[int]) -> None:
        """Load bit patterns into the memory `program`, `weights`, `parameters` or `tables`."""
        self._fits(memory, address, len(words))
        size = self._load_bytes
        step = max(1, CHUNK // size)
        for first in range(0, len(words), step):
            part = words[first : first + step]
            self._ask(LOADS[memory], address + first, len(part), _bytes(part, size))

    # ---- bytes -----------------------------------------------------------------------------------------------------

    @property
    def _word_bytes(self) -> int:
        return -(-self.config.activation_width // 8)

    @property
    def _load_bytes(self) -> int:
        return -(-self.config.load_width // 8)


def _bytes(words: Sequence[int], size: int) -> bytes:
    return b"".join(word.to_bytes(size, "little") for word in words)
