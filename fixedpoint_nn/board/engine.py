# SPDX-License-Identifier: MIT
"""`Engine`: the driver of an engine on a board, whatever carries its bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.board import frames
from fixedpoint_nn.board.errors import BoardError, NoAnswer
from fixedpoint_nn.board.frames import Command, Result
from fixedpoint_nn.board.identity import Identity
from fixedpoint_nn.board.ports import Port
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.port import Port as Place
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.numerics.arrays import Ints

CHUNK = 1024  # bytes of words in one request or answer
ANSWER_SECONDS = 1.0  # of silence after which no answer is waited for; the chip gives up a request after 0.1
QUIET_SECONDS = 0.05  # of silence after which a line that was disturbed is taken to be quiet
ATTEMPTS = 3  # to be understood again after a disturbance
POLL_SECONDS = 0.001
LOADS = {
    "program": Command.LOAD_PROGRAM,
    "weights": Command.LOAD_WEIGHTS,
    "parameters": Command.LOAD_PARAMETERS,
    "tables": Command.LOAD_TABLES,
}
REFUSALS = {
    Result.DAMAGED: "the request arrived damaged, and what it wrote is undefined; call again",
    Result.CUT_SHORT: "a part of the request was lost, and what it wrote is undefined; call again",
    Result.BUSY: "the engine is running; wait for it, or reset it",
    Result.UNKNOWN: "it knows no such request; build the board again with this version",
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


class Engine:
    """An engine on a board.

    A call that fails raises a `BoardError` of one sentence; the next call works as if nothing had been, for the chip
    gives up a request that stops in the middle, and what is late is thrown away.

    >>> with Engine(SerialPort("/dev/ttyUSB0")) as engine:  # doctest: +SKIP
    ...     engine.load(pack)
    ...     engine.run(pack, pack.vectors[0]).words
    """

    def __init__(self, port: Port, seconds: float = ANSWER_SECONDS) -> None:
        self.port, self.seconds = port, seconds
        self._tag, self._disturbed = 0, True
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
        config = self.config
        return -(-max(config.lanes * config.weight_width, 6 + config.bias_width, 32) // 8)

    def _in_range(self, verb: str, address: int, count: int) -> None:
        depth = self.config.activation_depth
        if address < 0 or address + count > depth:
            raise BoardError(
                f"cannot {verb} words {address} to {address + count - 1}: the memory holds {depth}"
            )

    def _ask(self, command: Command, address: int = 0, count: int = 0, words: bytes = b"") -> bytes:
        return self._send(command, lambda tag: frames.request(tag, command, address, count, words))

    def _send(self, command: Command, message: Callable[[int], bytes]) -> bytes:
        """Send a request and give its answer's content; after anything else the next call finds its way back first."""
        if self._disturbed:
            self._recover(command)
        self._disturbed = True
        answer = self._exchange(command, message)
        self._disturbed = False
        if answer.result != Result.DONE:
            raise BoardError(f"{self.port.name} refused {command.name}: {REFUSALS[Result(answer.result)]}")
        return answer.content

    def _recover(self, wanted: Command) -> None:
        """Until a question is answered: the chip may take the first one for the rest of a request that was cut off."""
        failure: BoardError | None = None
        for _ in range(ATTEMPTS):
            self._let_the_line_fall_silent()
            try:
                answer = self._exchange(wanted, lambda tag: frames.request(tag, Command.STATUS))
            except BoardError as error:
                failure = error
                continue
            if answer.result == Result.DONE:
                return
        raise failure or self._damaged(wanted)

    def _exchange(self, command: Command, message: Callable[[int], bytes]) -> frames.Answer:
        self._tag = (self._tag + 1) % 256
        self.port.write(message(self._tag))
        return self._answer(command)

    def _answer(self, command: Command) -> frames.Answer:
        """The answer with the tag of the request, or to a damaged one; noise and late answers are passed over."""
        while True:
            mark = self._exactly(1, command)
            if mark[0] != frames.ANSWER:
                continue
            head = mark + self._exactly(frames.HEAD_BYTES - 1, command)
            length = frames.content_length(head)
            if length > CHUNK:
                raise self._damaged(command)
            rest = self._exactly(length + frames.CHECKSUM_BYTES, command)
            answer = frames.parse_answer(head + rest)
            if answer is None or answer.result not in set(Result):
                raise self._damaged(command)
            if answer.tag == self._tag or answer.result in (Result.DAMAGED, Result.CUT_SHORT):
                return answer

    def _damaged(self, command: Command) -> BoardError:
        return BoardError(f"the answer of {self.port.name} to {command.name} is damaged; call again")

    def _exactly(self, count: int, command: Command) -> bytes:
        found = b""
        while len(found) < count:
            part = self.port.read(count - len(found), self.seconds)
            if not part:
                raise NoAnswer(
                    f"{self.port.name} did not answer {command.name} within {self.seconds:g} s; is the board on, and "
                    f"built with this design? Call again"
                )
            found += part
        return found

    def _let_the_line_fall_silent(self) -> None:
        end = time.monotonic() + self.seconds
        while self.port.read(CHUNK, QUIET_SECONDS):
            if time.monotonic() > end:
                raise BoardError(f"{self.port.name} sends without being asked; is this the board's port?")


def _bytes(words: Sequence[int], size: int) -> bytes:
    return b"".join(word.to_bytes(size, "little") for word in words)
