# SPDX-License-Identifier: MIT
"""`Driver`: the operations on an engine, built on a few primitives that a connection implements."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.board.errors import BoardError, EngineBusy
from fixedpoint_nn.board.identity import Identity
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.port import Port, input_of
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.numerics.arrays import Ints

POLL_SECONDS = 0.001
LOADED = ("program", "weights", "parameters", "tables")  # memories with a load port, by their select codes


@dataclass(frozen=True)
class EngineStatus:
    """The engine's status registers."""

    busy: bool
    done: bool
    accumulator_overflow: bool
    cycles: int
    mac_cycles: int
    saturations: int
    argmax: int


@dataclass(frozen=True)
class BoardOutcome:
    """The output words of one run, and the status registers after it."""

    words: Ints
    status: EngineStatus


class Driver(ABC):
    """An engine behind any connection."""

    name: str
    identity: Identity

    @property
    def config(self) -> EngineConfig:
        """The engine's parameters."""
        return self.identity.config

    # ---- primitives ------------------------------------------------------------------------------------------------

    @abstractmethod
    def status(self) -> EngineStatus:
        """The status registers; the counters change while the engine runs."""

    @abstractmethod
    def reset(self) -> None:
        """Abort a run; the memories keep their contents."""

    @abstractmethod
    def start(self, seed: int = 1) -> None:
        """Start the program from its first word; `seed` starts the noise generator."""

    @abstractmethod
    def write(self, address: int, ints: ArrayLike) -> None:
        """Write signed words to the activation memory, from `address` on."""

    @abstractmethod
    def read(self, address: int, count: int) -> Ints:
        """Read `count` signed words of the activation memory, from `address` on."""

    @abstractmethod
    def load_words(self, memory: str, address: int, words: Sequence[int]) -> None:
        """Load bit patterns into the memory `program`, `weights`, `parameters` or `tables`."""

    # ---- whole packs -----------------------------------------------------------------------------------------------

    def load(self, pack: Pack) -> None:
        """Load a pack's images; raises before anything is written if the engine cannot run the pack."""
        self.identity.refuse(pack.config, f"the pack {pack.name}")
        self.load_images(pack.images)

    def load_images(self, images: Images) -> None:
        """Load program, weights, parameters and tables by the load port, activations by the host port."""
        for memory, (_, words) in images.words(self.config).items():
            if memory in LOADED:
                self.load_words(memory, 0, words)
        self.write(0, images.activations)

    def run(
        self, pack: Pack, inputs: ArrayLike, seed: int | None = None, seconds: float = 60.0
    ) -> BoardOutcome:
        """Run one vector: write the input (words,), start, wait at most `seconds`, and read the output."""
        vector = np.ravel(np.asarray(inputs, np.int64))
        return next(self.stream(pack, vector[np.newaxis], seed, seconds))

    def stream(
        self, pack: Pack, vectors: Ints, seed: int | None = None, seconds: float = 60.0
    ) -> Iterator[BoardOutcome]:
        """Run vectors (vectors, words), yielding each result; vector n has seed + n, as in a pack.

        With a pack of `emit(ahead=True)` the next vector is written while one is computed, if the engine lets it in.
        """
        first = pack.seed if seed is None else seed
        written = False
        for number, vector in enumerate(vectors):
            place, choice = input_of(pack.input, pack.halves, number)
            if not written:
                self.write_value(place, vector)
            for address, word in choice.items():
                self.write(address, [word])
            self.start(first + number)
            written = number + 1 < len(vectors) and self._written_ahead(pack, number + 1, vectors[number + 1])
            status = self.wait(seconds)
            yield BoardOutcome(self.read_value(pack.output), status)

    def _written_ahead(self, pack: Pack, number: int, vector: Ints) -> bool:
        """Write the input of a vector while the engine computes the one before; False if it must be written later."""
        if pack.halves is None or not self.config.host_writes:
            return False
        try:
            self.write_value(input_of(pack.input, pack.halves, number)[0], vector)
        except EngineBusy:
            return False
        return True

    def write_text(
        self, pack: Pack, symbols: Sequence[str], runs: int, seed: int = 1, first: int = 0
    ) -> Iterator[str]:
        """Generate text with a pack of `lower_writer`, yielding the text of each run.

        The host cannot read the activation memory during a run, so the characters of a run arrive together.
        """
        for outcome in self.stream(pack, np.full((runs, pack.input.words), first, np.int64), seed):
            for place in outcome.words.tolist():
                yield symbols[place]

    def write_value(self, place: Port, ints: Ints) -> None:
        """Write one value to its blocks of the activation memory."""
        for first in range(0, place.words, place.run):
            part = ints[first : first + place.run]
            self.write(place.address + first // place.run * place.stride, part)

    def read_value(self, place: Port) -> Ints:
        """Read one value from its blocks."""
        parts = [
            self.read(place.address + first // place.run * place.stride, min(place.run, place.words - first))
            for first in range(0, place.words, place.run)
        ]
        return np.concatenate(parts)

    def wait(self, seconds: float = 60.0) -> EngineStatus:
        """Wait for the end of the run; raises after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            if status.done:
                return status
            if not status.busy:
                raise BoardError(
                    f"the board at {self.name} was reset while it ran; load, write and start again"
                )
            if time.monotonic() > end:
                raise BoardError(
                    f"the engine still runs after {seconds:g} s and {status.cycles} cycles; reset it"
                )
            time.sleep(POLL_SECONDS)

    # ---- bounds ----------------------------------------------------------------------------------------------------

    def _in_range(self, verb: str, address: int, count: int) -> None:
        depth = self.config.activation_depth
        if address < 0 or address + count > depth:
            raise BoardError(
                f"cannot {verb} words {address} to {address + count - 1}: the memory holds {depth}"
            )

    def _fits(self, memory: str, address: int, count: int) -> None:
        kind = {"weights": "weight", "parameters": "parameter", "tables": "table"}.get(memory, memory)
        depth: int = getattr(self.config, f"{kind}_depth")
        if address + count > depth:
            raise BoardError(f"{memory} holds {depth} words, not {address + count}; build the board for more")
