# SPDX-License-Identifier: MIT
"""One simulated board for all tests of its driver, and a line that does what lines should not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixedpoint_nn.board import BoardError, Engine
from fixedpoint_nn.board.ports import ByteStream, SerialPort
from fixedpoint_nn.board.simulated import SimulatedBoard
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.verify.readback_program import readback_program

GOLDEN = Path(__file__).resolve().parents[2] / "golden_vectors"
SECONDS = 60.0  # for an answer, on a busy machine


class FaultyPort:
    """A line that loses, changes or cuts what goes over it, once for each order."""

    def __init__(self, port: ByteStream) -> None:
        self.port, self.name = port, port.name
        self.lose_sent: int | None = None  # the place of the byte in the next message
        self.flip_sent: int | None = None
        self.cut_after: int | None = None  # bytes of the next message, then the cable is pulled
        self.lose_received: int | None = None  # how many bytes come before the one that is lost
        self.flip_received: int | None = None

    def write(self, message: bytes) -> None:
        if self.lose_sent is not None:
            message, self.lose_sent = message[: self.lose_sent] + message[self.lose_sent + 1 :], None
        if self.flip_sent is not None:
            changed = bytearray(message)
            changed[self.flip_sent] ^= 0x10
            message, self.flip_sent = bytes(changed), None
        if self.cut_after is not None:
            self.port.write(message[: self.cut_after])
            self.cut_after = None
            raise BoardError(f"the line to {self.name} broke off; plug the cable in and call again")
        self.port.write(message)

    def read(self, most: int, seconds: float) -> bytes:
        found = self.port.read(1, seconds)
        for order in ("lose_received", "flip_received"):
            left = getattr(self, order)
            if left is None or not found:
                continue
            setattr(self, order, left - 1 if left else None)
            if left == 0:
                found = self.port.read(1, seconds) if order == "lose_received" else bytes([found[0] ^ 0x10])
        return found

    def close(self) -> None:
        self.port.close()


@pytest.fixture(scope="session")
def moons() -> Pack:
    return load_pack(GOLDEN / "moons")


@pytest.fixture(scope="module")
def board(moons: Pack) -> Iterator[SimulatedBoard]:
    """Built for `moons`, with room for its readback."""
    config = readback_program(moons.config, moons.images).config
    with SimulatedBoard(config, moons.images, content=0x12345678, clock_khz=25000) as simulated:
        yield simulated


@pytest.fixture(scope="module")
def line(board: SimulatedBoard) -> Iterator[FaultyPort]:
    port = FaultyPort(SerialPort(board.path))
    yield port
    port.close()


@pytest.fixture(scope="module")
def engine(line: FaultyPort) -> Engine:
    return Engine(line, SECONDS)
