# SPDX-License-Identifier: MIT
"""Byte streams to a board: the protocol `ByteStream`, and serial ports."""

from __future__ import annotations

import os
from typing import Any, Protocol

from fixedpoint_nn.board.errors import BoardError

BAUD = 1_000_000


class ByteStream(Protocol):
    """A byte stream to a board."""

    name: str

    def write(self, message: bytes) -> None:
        """Send these bytes."""

    def read(self, most: int, seconds: float) -> bytes:
        """At most `most` received bytes; empty after `seconds` without any."""

    def close(self) -> None:
        """Close the port."""


class SerialPort:
    """A serial port or pseudo-terminal; reopened by the next call after it was unplugged."""

    def __init__(self, name: str, baud: int = BAUD) -> None:
        self.name, self.baud = name, baud
        self._port: Any = None
        self._opened()

    def write(self, message: bytes) -> None:
        """Send these bytes."""
        port = self._opened()
        try:
            port.write(message)
            port.flush()
        except OSError as error:  # pyserial's own errors are OSErrors
            raise self._gone(error) from None

    def read(self, most: int, seconds: float) -> bytes:
        """At most `most` received bytes; empty after `seconds` without any."""
        port = self._opened()
        try:
            port.timeout = seconds
            first: bytes = port.read(1)
            rest = port.read(min(most - 1, port.in_waiting)) if first and most > 1 else b""
        except OSError as error:
            raise self._gone(error) from None
        return first + rest

    def close(self) -> None:
        """Close the port; a second call does nothing."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def _opened(self) -> Any:
        """The port of pyserial, which is opened if it is not open."""
        if self._port is None:
            try:
                import serial
            except ImportError:
                raise BoardError(
                    f"{self.name} needs pyserial to be opened; install it by `pip install fixedpoint_nn[board]`"
                ) from None
            try:
                self._port = serial.Serial(self.name, self.baud, write_timeout=10)
            except (OSError, ValueError) as error:
                number = getattr(error, "errno", None)
                cause = os.strerror(number) if number else error
                raise BoardError(
                    f"{self.name} cannot be opened ({cause}); is the board plugged in, and may you use the port?"
                ) from None
        return self._port

    def _gone(self, error: OSError) -> BoardError:
        try:
            self.close()
        except OSError:
            self._port = None
        return BoardError(f"the line to {self.name} broke off ({error}); plug the cable in and call again")
