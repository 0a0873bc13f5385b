# SPDX-License-Identifier: MIT
"""Verilator's own library is compiled once; a long simulation gets a simulator that is compiled for speed."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.sim import build, cache, verilator
from fixedpoint_nn.hardware.sim.toolchain import ToolError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def _libraries(folder: Path) -> list[Path]:
    return list(folder.rglob(verilator.LIBRARY))


@pytest.mark.slow
def test_the_library_is_compiled_once_and_used_by_the_next_build(folder: Path) -> None:
    build.compiled(EngineConfig(lanes=1), "verilator")
    (library,) = _libraries(folder)
    with zipfile.ZipFile(library) as archive:
        assert "verilated.o" in archive.namelist()

    # A library that is whole, as its checksum says, is believed: no object is compiled again.
    with zipfile.ZipFile(library, "w") as archive:
        archive.writestr("verilated.o", b"no object")
    (library.parent / cache.CHECKSUM).write_text(hashlib.sha256(library.read_bytes()).hexdigest())
    with pytest.raises(ToolError, match="verilator could not compile the engine"):
        build.compiled(EngineConfig(lanes=2), "verilator")

    # A damaged one is not: it is compiled again, and kept.
    library.write_bytes(library.read_bytes()[:-1])
    build.compiled(EngineConfig(lanes=2), "verilator")
    (library,) = _libraries(folder)
    with zipfile.ZipFile(library) as archive:
        assert archive.read("verilated.o")[:4] == b"\x7fELF"


def test_many_cycles_are_worth_a_simulator_for_speed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[bool] = []

    def pretend(key: str, config: object, tool: object, rtl: object, waves: bool, long: bool) -> Path:
        built.append(long)
        with cache.new_folder() as made:
            (made / cache.PROGRAM).write_text(key)
            return cache.keep(key, made)

    monkeypatch.setattr(build, "_built", pretend)
    short, long = {"cycles": verilator.LONG}, {"cycles": verilator.LONG + 1}
    first = build.compiled(EngineConfig(), "verilator", **short)
    assert build.compiled(EngineConfig(), "verilator") == first
    quick = build.compiled(EngineConfig(), "verilator", **long)
    assert quick != first
    # Once it is there, it also serves the short ones.
    assert build.compiled(EngineConfig(), "verilator", **short) == quick
    assert built == [False, True]
    assert "OPT_FAST=-O1" in verilator.options() and "OPT_FAST=-O2" in verilator.options(verilator.FOR_SPEED)
