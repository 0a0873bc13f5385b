# SPDX-License-Identifier: MIT
"""A good pack passes wherever it lies, wherever temporary files go, and wherever simulators are kept."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from fixedpoint_nn.hardware import verify
from fixedpoint_nn.hardware.sim import cache
from tests.proof.conformance.__main__ import HERE

ODD = [
    "été",
    "a b",
    "tab\there",
    "line\nbreak",
    "quote's",
    '"double"',
    "semi;colon",
    "dollar$HOME",
    "%s",
    "日本",
    "#1&2",
]


@pytest.fixture
def plain_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
@pytest.mark.parametrize("name", ODD)
def test_a_pack_passes_in_a_folder_of_any_name(
    name: str, simulator: str, tmp_path: Path, plain_cache: None
) -> None:
    pack = shutil.copytree(HERE / "moons", tmp_path / name / "pack")
    waves = tmp_path / name / "waves.vcd"
    verdict = verify(pack, simulator, vectors=3, trace=True, vcd=waves if simulator == "iverilog" else None)
    assert verdict.passed, verdict.text
    assert simulator == "verilator" or waves.stat().st_size > 1000


@pytest.mark.parametrize("name", ["été", "a b\t'c'; $d"])
def test_icarus_passes_with_temporary_files_and_simulators_anywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / name
    place.mkdir()
    monkeypatch.setenv(cache.VARIABLE, str(place / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    verdict = verify(HERE / "moons", "iverilog", vectors=2)
    assert verdict.passed, verdict.text


@pytest.mark.parametrize("name", ["a b 'c'; $d é"])
def test_verilator_builds_with_temporary_files_and_simulators_anywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / name
    place.mkdir()
    monkeypatch.setenv(cache.VARIABLE, str(place / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    verdict = verify(HERE / "moons", "verilator", vectors=2)
    assert verdict.passed, verdict.text
