# SPDX-License-Identifier: MIT
"""`Engine`: the driver of an engine on a board, whatever carries its bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.board import frames
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.frames import Command
from fixedpoint_nn.board.identity import Identity
from fixedpoint_nn.board.link import ANSWER_SECONDS, CHUNK, Link
from fixedpoint_nn.board.ports import Port
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.port import Port as Place
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.numerics.arrays import Ints

POLL_SECONDS = 0.001
LOADS = {
    "program": Command.LOAD_PROGRAM,
    "weights": Command.LOAD_WEIGHTS,
    "parameters": Command.LOAD_PARAMETERS,
    "tables": Command.LOAD_TABLES,
}


@dataclass(frozen=True)
class Status:
    """The engine's registers since the last start."""

    busy: bool
    done: bool
    accumulator_overflow: bool
    cycles: int
    mac_cycles: int
    saturations: int
    argmax: int


@dataclass(frozen=True)
class Outcome:
    """The words that one run gave, and the registers after it."""

    words: Ints
    status: Status


class Engine(Link):
    """An engine on a board.

    A call that fails raises a `BoardError` of one sentence; the next call works as if nothing had been, for the chip
    gives up a request that stops in the middle, and what is late is thrown away.

    >>> with Engine(SerialPort("/dev/ttyUSB0")) as engine:  # doctest: +SKIP
    ...     engine.load(pack)
    ...     engine.run(pack, pack.vectors[0]).words
    """

    def __init__(self, port: Port, seconds: float = ANSWER_SECONDS) -> None:
        super().__init__(port, seconds)
        self.identity = self.identify()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port."""
        self.port.close()

    @property
    def config(self) -> EngineConfig:
        """The parameters that the engine on the board is built with."""
        return self.identity.config

    # ---- requests --------------------------------------------------------------------------------------------------

    def identify(self) -> Identity:
        """What the board is built of, asked again."""
        self.identity = Identity.parse(self._ask(Command.IDENTIFY), self.port.name)
        return self.identity

    def status(self) -> Status:
        """The registers; while the engine runs its counters go on, and their bytes may be of different clocks."""
        content = self._ask(Command.STATUS)
        numbers = [int.from_bytes(content[place : place + 4], "little") for place in range(1, 17, 4)]
        flags = content[0]
        return Status(bool(flags & 1), bool(flags & 2), bool(flags & 4), *numbers)

    def reset(self) -> None:
        """End whatever runs; the memories stay as they are."""
        self._ask(Command.RESET)

    def start(self, seed: int = 1) -> None:
        """Run the program from its first word."""
        self._send(Command.START, lambda tag: frames.start_request(tag, seed & 0xFFFFFFFF))

    def write(self, address: int, ints: ArrayLike) -> None:
        """Words of the activation memory."""
        words = bit_packing.unsigned(
            np.ravel(np.asarray(ints, np.int64)).tolist(), self.config.activation_width
        )
        self._in_range("write", address, len(words))
        size = self._word_bytes
        for first in range(0, len(words), CHUNK // size):
            part = words[first : first + CHUNK // size]
            self._ask(Command.WRITE, address + first, len(part), _bytes(part, size))

    def read(self, address: int, count: int) -> Ints:
        """Words of the activation memory, as signed integers."""
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

    # ---- whole packs -----------------------------------------------------------------------------------------------

    def load(self, pack: Pack) -> None:
        """Put a pack's images into the memories; what the engine cannot run is refused before anything is written."""
        self.identity.refuse(pack.config, f"the pack {pack.name}")
        self.load_images(pack.images)

    def load_images(self, images: Images) -> None:
        """Program, weights, parameters and tables by the load port, activations by the host port."""
        for memory, (_, words) in images.words(self.config).items():
            if memory in LOADS:
                self.load_words(memory, 0, words)
        self.write(0, images.activations)

    def load_words(self, memory: str, address: int, words: Sequence[int]) -> None:
        """Bit patterns into `program`, `weights`, `parameters` or `tables`."""
        depth = getattr(
            self.config,
            {"weights": "weight", "parameters": "parameter", "tables": "table"}.get(memory, memory)
            + "_depth",
        )
        if address + len(words) > depth:
            raise BoardError(
                f"{memory} holds {depth} words, not {address + len(words)}; build the board for more"
            )
        size = self._load_bytes
        step = max(1, CHUNK // size)
        for first in range(0, len(words), step):
            part = words[first : first + step]
            self._ask(LOADS[memory], address + first, len(part), _bytes(part, size))

    def run(self, pack: Pack, inputs: ArrayLike, seed: int | None = None, seconds: float = 60.0) -> Outcome:
        """Write one vector, start, wait, and read the output."""
        self.write_value(pack.input, np.ravel(np.asarray(inputs, np.int64)))
        self.start(pack.seed if seed is None else seed)
        status = self.wait(seconds)
        return Outcome(self.read_value(pack.output), status)

    def stream(
        self, pack: Pack, vectors: Ints, seed: int | None = None, seconds: float = 60.0
    ) -> Iterator[Outcome]:
        """The result of each vector as soon as it is there; each further one has the next seed, as in a pack."""
        first = pack.seed if seed is None else seed
        for number, vector in enumerate(vectors):
            yield self.run(pack, vector, first + number, seconds)

    def write_text(
        self, pack: Pack, symbols: Sequence[str], runs: int, seed: int = 1, first: int = 0
    ) -> Iterator[str]:
        """Letters that a network which writes has chosen (packs as of `lower_writer`), run after run.

        The host cannot read the activation memory while the engine runs: the letters of a run come together.
        """
        for outcome in self.stream(pack, np.full((runs, pack.input.words), first, np.int64), seed):
            for place in outcome.words.tolist():
                yield symbols[place]

    def write_value(self, place: Place, ints: Ints) -> None:
        """One value, in the blocks in which the activation memory holds it."""
        for first in range(0, place.words, place.run):
            part = ints[first : first + place.run]
            self.write(place.address + first // place.run * place.stride, part)

    def read_value(self, place: Place) -> Ints:
        """One value, from its blocks."""
        parts = [
            self.read(place.address + first // place.run * place.stride, min(place.run, place.words - first))
            for first in range(0, place.words, place.run)
        ]
        return np.concatenate(parts)

    def wait(self, seconds: float = 60.0) -> Status:
        """Until the run is over."""
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            if status.done:
                return status
            if not status.busy:
                raise BoardError(
                    f"the board at {self.port.name} was reset while it ran; load, write and start again"
                )
            if time.monotonic() > end:
                raise BoardError(
                    f"the engine still runs after {seconds:g} s and {status.cycles} cycles; reset it"
                )
            time.sleep(POLL_SECONDS)

    # ---- bytes -----------------------------------------------------------------------------------------------------

    @property
    def _word_bytes(self) -> int:
        return -(-self.config.activation_width // 8)

    @property
    def _load_bytes(self) -> int:
        return -(-self.config.load_width // 8)

    def _in_range(self, verb: str, address: int, count: int) -> None:
        depth = self.config.activation_depth
        if address < 0 or address + count > depth:
            raise BoardError(
                f"cannot {verb} words {address} to {address + count - 1}: the memory holds {depth}"
            )


def _bytes(words: Sequence[int], size: int) -> bytes:
    return b"".join(word.to_bytes(size, "little") for word in words)
