# SPDX-License-Identifier: MIT
"""A stored point is computed again after a change of any source that decides it, however deep its folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixedpoint_nn.precision import content
from fixedpoint_nn.precision import engine_cost as engine

DECISIVE = (
    "numerics/rounding.py",
    "numbers/fixed/array.py",
    "layers/dense.py",
    "network/quantized.py",
    "precision/plan.py",
    "training/loop.py",
)
ENGINE = ("hardware/isa/timing.py", "hardware/compiler/pipeline.py", "hardware/emulator/datapath.py")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package's sources, of which the digests are taken."""
    copy = tmp_path / "fixedpoint_nn"
    shutil.copytree(content.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    monkeypatch.setattr(content, "PACKAGE", copy)
    forget()
    yield copy
    forget()


def forget() -> None:
    content.code_version.cache_clear()
    engine.hardware_version.cache_clear()


def changed(package: Path, name: str, digest) -> bool:
    before = digest()
    path = package / name
    path.write_text(path.read_text("utf-8") + "\n# changed\n", "utf-8")
    forget()
    return digest() != before


@pytest.mark.parametrize("name", DECISIVE)
def test_a_change_of_a_computing_source_changes_the_version_of_the_code(package: Path, name: str) -> None:
    assert changed(package, name, content.code_version)


@pytest.mark.parametrize("name", ENGINE)
def test_a_change_of_an_engine_source_changes_the_version_of_the_hardware(package: Path, name: str) -> None:
    assert changed(package, name, engine.hardware_version)


def test_a_change_of_the_command_line_changes_neither(package: Path) -> None:
    assert not changed(package, "cli/program.py", content.code_version)
    assert not changed(package, "cli/program.py", engine.hardware_version)


def test_a_change_of_a_verilog_source_changes_the_version_of_the_hardware(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "rtl"
    shutil.copytree(engine.rtl_folder(), copy)
    monkeypatch.setattr(engine, "rtl_folder", lambda: copy)
    for name in ("lane.v", "fields.vh"):
        forget()
        before = engine.hardware_version()
        (copy / name).write_text((copy / name).read_text() + "// changed\n")
        forget()
        assert engine.hardware_version() != before
