# SPDX-License-Identifier: MIT
"""Temporary folders lie where nobody else can exchange them, and go when they are done with."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.verify.verdict import Verdict


@pytest.fixture(autouse=True)
def fresh_warnings() -> None:
    scratch.warn_once.cache_clear()


def test_a_folder_is_private_and_goes_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch.folder() as folder:
        (folder / "file").touch()
        assert folder.parent == tmp_path
        assert not folder.stat().st_mode & 0o077
    assert not folder.exists()


def test_a_place_where_others_could_exchange_it_is_left_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tmp_path.chmod(0o777)
    assert scratch.place() == scratch.place() == Path("/tmp")
    assert caplog.messages == [
        f"temporary files go to /tmp and not to {tmp_path}, because others can write to {tmp_path}"
    ]
    tmp_path.chmod(0o1777)  # as /tmp itself
    assert scratch.place() == tmp_path


def test_a_plain_place_has_no_letters_that_a_simulator_would_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    odd = tmp_path / "é t"
    odd.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    assert scratch.place() == odd
    assert scratch.place(plain=True) == Path("/tmp")
    assert caplog.messages == []


@pytest.mark.parametrize("plain", [False, True])
def test_where_there_is_no_place_the_way_out_is_said(
    plain: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "weakness", lambda place, shared: f"others can write to {place}")
    with pytest.raises(scratch.PlaceError) as caught:
        scratch.place(plain)
    assert str(caught.value) == (
        f"others can write to {tmp_path}, and neither /tmp nor /var/tmp can be used; set TMPDIR to a folder "
        f"{'with a plain name ' if plain else ''}that only you can change"
    )
    assert not Verdict.because(caught.value).ran


def test_where_no_folder_has_a_plain_name_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/été")
    monkeypatch.setattr(
        scratch, "weakness", lambda place, shared: "" if place == Path("/tmp/été") else "full"
    )
    with pytest.raises(scratch.PlaceError) as caught:
        scratch.place(plain=True)
    assert str(caught.value) == (
        "/tmp/été has letters in its path that simulators do not take, and neither /tmp nor /var/tmp can be used; "
        "set TMPDIR to a folder with a plain name that only you can change"
    )


def full(name: str | None = None) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *([name] if name else []))


def no_room(place: Path) -> str:
    return f"there is no room for temporary files in {place}; make room there, or set TMPDIR to another place"


@pytest.mark.parametrize("named", [False, True])
def test_a_full_disk_is_one_sentence_about_the_place(
    named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fill() -> None:
        with scratch.folder() as folder:
            full(str(folder / "file") if named else None)

    with pytest.raises(scratch.PlaceError) as caught:
        fill()
    assert str(caught.value) == no_room(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_error_and_one_about_another_place_stay_what_they_are(tmp_path: Path) -> None:
    for error in (OSError(errno.ENOSPC, "full", str(tmp_path / "mine")), OSError(errno.EACCES, "closed")):
        with pytest.raises(OSError, match=error.strerror), scratch.folder():
            raise error


def test_a_program_that_filled_the_disk_without_a_word_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    scratch.demand_room(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []
    monkeypatch.setattr(os, "fsync", lambda handle: full())
    with pytest.raises(scratch.PlaceError) as caught:
        scratch.demand_room(tmp_path / "run")
    assert str(caught.value) == no_room(tmp_path)
