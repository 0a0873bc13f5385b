# SPDX-License-Identifier: MIT
"""The package works from a wheel, in an empty environment, away from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".tools", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", "runs"
)

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        folder,
        folder / "source",
        cwd=folder,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with nothing in it but the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", wheel, cwd=folder)
    return python.parent


def test_the_wheel_holds_every_file_of_the_package_and_of_the_engine(wheel: Path) -> None:
    tracked = run("git", "ls-files", "fixedpoint_nn", "reference_rtl", cwd=ROOT).split()
    wanted = {name.replace("reference_rtl/", "fixedpoint_nn/reference_rtl/", 1) for name in tracked}
    assert wanted - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_wheel_holds_nothing_but_the_package(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"fixedpoint_nn"}


def test_emit_and_verify_work_away_from_the_checkout(environment: Path, tmp_path: Path) -> None:
    where = "from fixedpoint_nn.hardware.sim.toolchain import rtl_folder; print(rtl_folder())"
    assert str(environment.parent) in run(environment / "python", "-c", where, cwd=tmp_path)
    run(
        environment / "fixedpoint-nn",
        "emit",
        "moons",
        "--word",
        "8",
        "--vectors",
        "8",
        "--out",
        "pack",
        cwd=tmp_path,
    )
    assert "PASS" in run(environment / "fixedpoint-nn", "verify", "pack", cwd=tmp_path)


def test_the_shipped_data_needs_no_network(environment: Path, tmp_path: Path) -> None:
    count = "from fixedpoint_nn import data; print(len(data.french_names()))"
    assert int(run(environment / "python", "-c", count, cwd=tmp_path)) >= 1500
