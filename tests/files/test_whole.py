# SPDX-License-Identifier: MIT
"""A file is the old one or the whole new one, and nothing lies beside it."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from fixedpoint_nn.files import whole as module
from fixedpoint_nn.files.whole import whole, write_whole


def test_text_and_bytes_are_written(tmp_path: Path) -> None:
    write_whole(tmp_path / "text", "é\r\n")
    assert (tmp_path / "text").read_bytes() == b"\xc3\xa9\r\n"
    write_whole(str(tmp_path / "text"), b"\0")
    assert (tmp_path / "text").read_bytes() == b"\0"
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_new_file_has_the_rights_that_the_user_gives_new_files_and_an_old_one_keeps_its_own(
    tmp_path: Path,
) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "new", "a")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new").chmod(0o600)
    write_whole(tmp_path / "new", "b")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_the_name_to_write_to_says_the_kind_of_the_file(tmp_path: Path) -> None:
    with whole(tmp_path / "picture.svg") as beside:
        assert beside.suffix == ".svg"
        assert beside.parent == tmp_path
        assert not beside.exists()
        beside.touch()


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "real").write_text("old")
    (tmp_path / "link").symlink_to("folder/real")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "real").read_text() == "new"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is full")
def test_a_device_is_written_as_it_is_and_an_error_names_it() -> None:
    write_whole("/dev/null", "much")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_whole("/dev/full", "much")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/full")


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_names_the_one_that_was_wanted(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "file", "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif where == "replace":
        monkeypatch.setattr(Path, "replace", full)

    def half() -> None:
        with whole(tmp_path / "file") as beside:
            beside.write_text("ne")
            if where == "write":
                full()

    with pytest.raises(OSError, match="No space left on device") as caught:
        half()
    assert caught.value.filename == str(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_not_there_is_said_by_the_name_that_was_wanted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "none" / "file", "a")
    assert caught.value.filename == str(tmp_path / "none" / "file")


def test_what_a_killed_process_left_beside_goes_after_an_hour(tmp_path: Path) -> None:
    for age, name in ((0, "young"), (module.STALE + 60, "stale")):
        (tmp_path / f".file.svg.part-{name}.svg").touch()
        then = time.time() - age
        os.utime(tmp_path / f".file.svg.part-{name}.svg", (then, then))
    write_whole(tmp_path / "file.svg", "")
    assert {path.name for path in tmp_path.iterdir()} == {"file.svg", ".file.svg.part-young.svg"}
