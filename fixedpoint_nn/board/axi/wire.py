# SPDX-License-Identifier: MIT
"""Access to the registers: the `Wire` protocol, and physical memory under Linux on the chip."""

from __future__ import annotations

import mmap
import os
import struct
from typing import Protocol

from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.files.closing import Closing

BYTES = 0x100  # of the register map


class Wire(Protocol):
    """Access to 32-bit registers at byte offsets, as by `pynq.MMIO`."""

    def read(self, offset: int) -> int:
        """The register at this offset."""

    def write(self, offset: int, value: int) -> None:
        """Write the register at this offset."""


class DevMem(Closing):
    """The registers at a physical address, mapped through `/dev/mem` (or a UIO device at address 0)."""

    def __init__(self, address: int, path: str = "/dev/mem") -> None:
        self.name = f"{path} at 0x{address:08X}"
        self._inside = address % mmap.PAGESIZE
        try:
            file = os.open(path, os.O_RDWR | os.O_SYNC)
        except OSError as error:
            raise BoardError(
                f"{path} cannot be opened ({error.strerror}); does this system have it, and are you root?"
            ) from None
        try:
            self._map = mmap.mmap(file, self._inside + BYTES, offset=address - self._inside)
        except (OSError, ValueError) as error:
            raise BoardError(
                f"{self.name} cannot be mapped ({error}); is this the engine's address?"
            ) from None
        finally:
            os.close(file)
        # Each item is one 32-bit access, which a slice of bytes would not guarantee.
        self._words = memoryview(self._map).cast("I")

    def read(self, offset: int) -> int:
        """Read the register at this byte offset."""
        return self._words[(self._inside + offset) // 4]

    def write(self, offset: int, value: int) -> None:
        """Write the register at this offset."""
        self._words[(self._inside + offset) // 4] = value

    def close(self) -> None:
        """Unmap the memory."""
        self._words.release()
        self._map.close()


def signed(word: int) -> int:
    """A register's 32 bits as a signed integer."""
    number: int = struct.unpack("<i", struct.pack("<I", word))[0]
    return number
