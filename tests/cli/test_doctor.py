# SPDX-License-Identifier: MIT
"""`doctor` tries the main job, and says what is here, what is not, and how to get it."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path

import numpy as np
import pytest

import fixedpoint_nn
from fixedpoint_nn.cli import doctor, findings, main
from fixedpoint_nn.hardware.sim import cache, toolchain
from fixedpoint_nn.hardware.sim.run import SimulationError
from fixedpoint_nn.numerics.native import library

Capture = pytest.CaptureFixture[str]
MISSING = (
    "Icarus Verilog 11.0 or newer is needed, but there is none on PATH; install it (Debian: apt-get install iverilog, "
    "macOS: brew install icarus-verilog)."
)


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the only tools that there are: Icarus Verilog's, unless a test takes them away."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("iverilog", "vvp"):
        (folder / name).symlink_to(toolchain.find_tool(name).path)
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "reference_rtl").symlink_to(toolchain.rtl_folder())
    monkeypatch.setattr(toolchain, "_PACKAGE", tmp_path / "checkout" / "fixedpoint_nn")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "python"))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return folder


def test_where_the_main_job_works_the_status_is_0_whatever_else_is_missing(
    only: Path, capsys: Capture
) -> None:
    assert main(["doctor"]) == 0
    *rows, last = capsys.readouterr().out.splitlines()
    assert last == f"PASS: {doctor.WORKS}"
    about = {row.split("  ")[0]: row.split("  ", 1)[1].strip() for row in rows}
    assert about["fixedpoint_nn"] == f"{fixedpoint_nn.__version__} in {Path(fixedpoint_nn.__file__).parent}"
    assert about["Python"] == f"{platform.python_version()} ({sys.executable}), NumPy {np.__version__}"
    assert about["Icarus Verilog"].endswith(f" ({only / 'iverilog'})")
    assert about["Verilator"].startswith("not needed for the main job: Verilator 5.006 or newer is needed")
    assert about["Yosys"].endswith("install it by `pip install fixedpoint_nn[synth]`.")


def test_as_json_it_is_one_object(only: Path, capsys: Capture) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["works"] is True
    assert found["trial"] == f"PASS: {doctor.WORKS}"
    assert found["tools"]["vvp"]["path"] == str(only / "vvp")
    assert found["tools"]["verilator"]["version"] is None
    assert set(found["caches"]) == {"simulators", "downloads", "results"}
    assert found["processor"]["usable_cores"] >= 1
    assert all(entry["threads"] >= 1 for entry in found["blas"])


@pytest.mark.parametrize("name", ["iverilog", "vvp"])
def test_a_tool_that_is_missing_is_status_3_with_the_way_to_it(
    name: str, only: Path, capsys: Capture
) -> None:
    (only / name).unlink()
    assert main(["doctor"]) == 3
    *_, last = capsys.readouterr().out.splitlines()
    assert (
        last
        == f"NOT READY: {MISSING if name == 'iverilog' else MISSING.replace(' 11', chr(39) + 's vvp 11', 1)}"
    )


def test_a_simulator_that_dies_is_status_3(only: Path, capsys: Capture) -> None:
    (only / "vvp").unlink()
    (only / "vvp").write_text("#!/bin/sh\ncase $1 in -V) echo Icarus version 12.0;; *) kill -11 $$;; esac\n")
    (only / "vvp").chmod(0o755)
    assert main(["doctor"]) == 3
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "NOT READY: iverilog was killed by signal 11 before it had finished"


def test_verilog_that_differs_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        ints = np.zeros((3, 3), np.int64)

    monkeypatch.setattr(doctor.RtlModel, "__call__", lambda *_: Wrong())
    status, sentence = doctor.trial()
    assert status == 1
    assert sentence.startswith("FAIL: a layer gives [[0, 0, 0], [0, 0, 0], [0, 0, 0]] on the Verilog and [[")

    def hung(*_: object) -> None:
        raise SimulationError("vector 0 is not done after 10 cycles")

    monkeypatch.setattr(doctor.RtlModel, "__call__", hung)
    assert doctor.trial() == (1, "FAIL: vector 0 is not done after 10 cycles")


def test_the_kernels_that_run_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.VARIABLE, "numpy")
    assert findings.kernels() == {"name": "NumPy", "reason": "FIXEDPOINT_NN_KERNELS=numpy"}
    monkeypatch.setenv(library.VARIABLE, "")
    choice = library.chosen()
    assert findings.kernels() == {
        "name": choice.kernels.name if choice.kernels else "NumPy", "reason": choice.reason
    }  # fmt: skip
    monkeypatch.setenv(library.VARIABLE, "fortran")
    sentence = "FIXEDPOINT_NN_KERNELS='fortran' names no kernels; use numpy or c, or leave it out"
    assert findings.kernels() == {"name": "none", "reason": sentence}
    assert doctor.trial() == (3, f"NOT READY: {sentence}")


def test_caches_have_a_place_a_size_and_a_limit_and_are_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    for name in (cache.VARIABLE, "FIXEDPOINT_NN_RESULTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(cache.SIZE_VARIABLE, "5")
    assert findings.simulators() == {
        "place": str(home / "fixedpoint_nn" / "simulators"), "fault": None, "files": 0, "bytes": 0, "limit": 5_000_000
    }  # fmt: skip
    assert not home.exists()
    for name, size in (("simulators/a/sim", 100), ("mnist/images.gz", 20), ("results.sqlite", 3)):
        path = home / "fixedpoint_nn" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    monkeypatch.setattr("pooch.os_cache", lambda name: home / name)
    parts = (findings.simulators(), findings.downloads(), findings.results())
    assert [(part["files"], part["bytes"]) for part in parts] == [(1, 100), (1, 20), (1, 3)]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows keeps users apart by itself")
def test_a_cache_that_others_can_change_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    assert findings.simulators()["fault"] == f"others can write to {tmp_path}"
    (tmp_path / "cache" / "simulators").mkdir(parents=True)
    assert findings.simulators()["fault"] == f"others can write to {tmp_path}"


def test_what_is_wrong_with_the_settings_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.SIZE_VARIABLE, "much")
    assert findings.simulators()["fault"] == (
        "FIXEDPOINT_NN_CACHE_MB='much' is no number of megabytes; use one, such as 500"
    )
    monkeypatch.setenv("FIXEDPOINT_NN_DATA", str(tmp_path / "none"))
    assert findings.data() == {"place": str(tmp_path / "none"), "fault": "FIXEDPOINT_NN_DATA names no folder"}
    monkeypatch.delenv("FIXEDPOINT_NN_DATA")
    assert findings.data() == {"place": None, "fault": None}
