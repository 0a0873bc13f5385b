# SPDX-License-Identifier: MIT
"""A disk that is full, at any byte: each command leaves what was there or something whole, and says one sentence."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixedpoint_nn.cli import main
from fixedpoint_nn.cli.program import sentence
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.network.serialization import load
from fixedpoint_nn.report.page import Page, ReportSection
from fixedpoint_nn.report.record import Record
from tests.project.test_faults import small_pack

Capture = pytest.CaptureFixture[str]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file gets larger than this: a write beyond it fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def said(capsys: Capture, *arguments: object) -> str:
    """The last line of a command that fails."""
    assert main([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err.strip().splitlines()[-1]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WAY_OUT = "File too large; make room there, or choose another place"


@pytest.mark.parametrize("size", [0, 50, 300, 3000])
def test_emit_leaves_no_half_pack(size: int, tmp_path: Path) -> None:
    with room_for(size), pytest.raises(OSError, match="File too large") as caught:
        small_pack(tmp_path)
    assert sentence(caught.value) == f"{tmp_path / 'pack'}: {WAY_OUT}"
    assert list(tmp_path.iterdir()) == []
    small_pack(tmp_path)
    before = contents(tmp_path)
    with room_for(size), pytest.raises(OSError, match="File too large"):
        small_pack(tmp_path, seed=1)
    assert contents(tmp_path) == before
    load_pack(tmp_path / "pack")


@pytest.mark.parametrize("size", [0, 2000, 12_000])
def test_train_leaves_no_half_network_no_half_picture_and_no_half_record(
    size: int, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "net.safetensors"
    with room_for(size):
        text = said(capsys, "train", "moons", "--epochs", "1", "--out", out)
    assert text.endswith(WAY_OUT)
    for path in tmp_path.iterdir():
        assert path.name in ("net.safetensors", "net.checkpoint.safetensors")  # the picture has not fitted
    if out.exists():
        load(out)


@pytest.mark.slow
def test_a_sweep_leaves_whole_tables_and_pictures(tmp_path: Path, capsys: Capture) -> None:
    command = ("sweep", "moons", "--words", "4", "--limit", "50", "--out", tmp_path / "out")
    assert main([*map(str, command)]) == 0
    good = contents(tmp_path / "out")
    good["run-sweep.json"] = b""
    largest = max(len(content) for name, content in good.items() if name.endswith(".svg"))
    for name in good:
        if name != "sweep.sqlite":
            (tmp_path / "out" / name).unlink()
    with room_for(largest - 1):
        assert said(capsys, *command).endswith(WAY_OUT)
    left = contents(tmp_path / "out")
    assert "sweep.csv" in left
    for name in left:
        if name.endswith(".csv"):
            assert left[name].count(b"\n") == good[name].count(b"\n")
        elif name.endswith(".svg"):
            assert left[name].endswith(b"</svg>\n")
    assert not any(name.startswith(".") for name in left)
    assert "run-sweep.json" not in left


def test_a_report_and_a_record_stay_as_they_were(tmp_path: Path, capsys: Capture) -> None:
    record = Record("train", "fixedpoint-nn train", "2026-01-01 12:00 UTC", 1.5, {"loss": 0.5}, {}, tmp_path)
    record.save()
    (tmp_path / "report.html").write_text("the old page")
    before = contents(tmp_path)
    with room_for(10):
        with pytest.raises(OSError, match="File too large"):
            Record(**{**vars(record), "seconds": 2.5}).save()
        with pytest.raises(OSError, match="File too large"):
            Page("the new page", "", "", (), (), ReportSection("closing", "")).save(tmp_path / "report.html")
    assert contents(tmp_path) == before


def test_the_sentence_about_a_full_disk_says_what_to_do() -> None:
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        error = OSError(number, os.strerror(number), "runs/pack")
        assert sentence(error) == (
            f"runs/pack: {os.strerror(number)}; make room there, or choose another place"
        )
