# SPDX-License-Identifier: MIT
"""The driver over registers that are a dictionary, or a file: what it says when something is wrong."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import pytest

from fixedpoint_nn.board import BoardError
from fixedpoint_nn.board.axi import AxiEngine, DevMem
from fixedpoint_nn.board.axi.registers import IDENTIFICATION, AxiAddress
from fixedpoint_nn.hardware.isa.config import EngineConfig


class Memory:
    """Registers that keep what is written."""

    name = "a dictionary"

    def __init__(self) -> None:
        parameters = EngineConfig().verilog()
        self.values = {register: parameters.get(register.name, 0) for register in AxiAddress}
        self.values |= {AxiAddress.IDENTIFICATION: IDENTIFICATION, AxiAddress.VERSION: 2 << 16}

    def read(self, offset: int) -> int:
        return self.values[AxiAddress(offset)]

    def write(self, offset: int, value: int) -> None:
        self.values[AxiAddress(offset)] = value


def refused(sentence: str) -> Any:
    return pytest.raises(BoardError, match=f"^{re.escape(sentence)}$")


def test_the_engine_says_what_it_is_built_of() -> None:
    assert AxiEngine(Memory()).config == EngineConfig()


def test_another_block_at_the_address_is_told() -> None:
    memory = Memory()
    memory.values[AxiAddress.IDENTIFICATION] = 0xFFFFFFFF
    with refused(
        "a dictionary identifies itself as 0xFFFFFFFF, and an engine as 0x46504E4E; check the address"
    ):
        AxiEngine(memory)


def test_another_version_of_the_registers_is_told() -> None:
    memory = Memory()
    memory.values[AxiAddress.VERSION] = 3 << 16
    with refused(
        "the engine at a dictionary has version 3 of the registers and this program version 2; build it again"
    ):
        AxiEngine(memory)


def test_a_busy_engine_is_left_alone() -> None:
    memory = Memory()
    engine = AxiEngine(memory)
    memory.values[AxiAddress.STATUS] = 1
    with refused("cannot write: the engine at a dictionary is busy; wait for it, or reset it"):
        engine.write(0, [1])
    with refused("cannot read words 4090 to 4099: the memory holds 4096"):
        engine.read(4090, 10)


def test_the_physical_memory_is_read_and_written_word_by_word(tmp_path: Path) -> None:
    memory, path = Memory(), tmp_path / "mem"
    content = bytearray(0x2000)
    for register, value in memory.values.items():
        struct.pack_into("<I", content, 0x1000 + register, value)
    path.write_bytes(content)
    with DevMem(0x1000, str(path)) as wire:
        engine = AxiEngine(wire)
        assert engine.config == EngineConfig()
        engine.write(7, [-1])
    written = path.read_bytes()[0x1000:]
    assert struct.unpack_from("<I", written, AxiAddress.WORD_ADDRESS) == (7,)
    assert struct.unpack_from("<I", written, AxiAddress.WORD_DATA) == (0xFFFF,)


def test_a_memory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with refused(
        f"{tmp_path}/none cannot be opened (No such file or directory); does this system have it, and are you root?"
    ):
        DevMem(0, f"{tmp_path}/none")
