# SPDX-License-Identifier: MIT
"""A folder is trusted when nobody else can change it, nor exchange anything on the way to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixedpoint_nn.files.trust import MOST_LINKS, make_private, weakness

NOBODY = 65534
root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """above/ours, private both."""
    (tmp_path / "above" / "ours").mkdir(parents=True)
    (tmp_path / "above").chmod(0o755)
    (tmp_path / "above" / "ours").chmod(0o755)
    return tmp_path / "above" / "ours"


def test_a_folder_of_ours_in_one_of_ours_has_no_weakness(folder: Path) -> None:
    assert weakness(folder) == ""


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
def test_a_folder_or_one_above_it_that_others_can_write_to_is_weak(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    assert weakness(folder) == f"others can write to {folder}"
    folder.chmod(0o755)
    folder.parent.chmod(mode)
    assert weakness(folder) == f"others can write to {folder.parent}"


def test_a_sticky_folder_above_is_safe_for_what_is_ours_but_is_none_of_ours_itself(folder: Path) -> None:
    folder.parent.chmod(0o1777)
    assert weakness(folder) == ""
    assert weakness(folder.parent) == f"others can write to {folder.parent}"
    assert weakness(folder.parent, shared=True) == ""
    folder.parent.chmod(0o777)
    assert weakness(folder.parent, shared=True) == f"others can write to {folder.parent}"


@root
def test_a_folder_of_another_user_is_weak_wherever_it_stands(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    assert weakness(folder) == f"{folder} belongs to another user (uid {NOBODY})"
    os.chown(folder, 0, 0)
    os.chown(folder.parent, NOBODY, NOBODY)
    assert weakness(folder) == f"{folder.parent} belongs to another user (uid {NOBODY})"
    folder.parent.chmod(0o1777)  # he may rename what lies in his own sticky folder
    assert weakness(folder) == f"{folder.parent} belongs to another user (uid {NOBODY})"


@root
def test_in_a_sticky_folder_nothing_of_another_user_is_taken(folder: Path) -> None:
    folder.parent.chmod(0o1777)
    (folder / "below").mkdir()
    os.chown(folder, NOBODY, NOBODY)
    assert weakness(folder / "below") == f"{folder} belongs to another user (uid {NOBODY})"


@root
def test_for_another_user_a_folder_of_root_is_on_the_way_but_is_not_the_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(folder, NOBODY, NOBODY)
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert weakness(folder) == ""
    assert weakness(folder.parent) == f"{folder.parent} belongs to another user (uid 0)"
    assert weakness(folder.parent, shared=True) == ""


def test_a_link_is_followed_relative_or_absolute_up_and_down(folder: Path) -> None:
    links = folder.parent / "links"
    links.mkdir(mode=0o755)
    (links / "absolute").symlink_to(folder)
    (links / "relative").symlink_to("../ours")
    (links / "two").symlink_to("absolute/../links/relative")
    for name in ("absolute", "relative", "two"):
        assert weakness(links / name) == ""
        folder.chmod(0o777)
        assert weakness(links / name) == f"others can write to {folder}"
        folder.chmod(0o755)


def test_a_link_that_others_can_exchange_is_weak_wherever_it_leads(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "link").symlink_to(folder)
    assert weakness(tmp_path / "open" / "link") == f"others can write to {tmp_path / 'open'}"
    (folder / "out").symlink_to(tmp_path / "open" / "link")
    assert weakness(folder / "out") == f"others can write to {tmp_path / 'open'}"


@root
def test_a_link_of_another_user_in_a_sticky_folder_is_weak(folder: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "link").symlink_to(folder)
    assert weakness(shared / "link") == ""
    os.chown(shared / "link", NOBODY, NOBODY, follow_symlinks=False)
    assert weakness(shared / "link") == f"{shared / 'link'} belongs to another user (uid {NOBODY})"


def test_a_link_into_a_folder_below_an_open_one_is_weak(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open" / "ours").mkdir(parents=True, mode=0o700)
    (tmp_path / "open").chmod(0o777)
    (folder / "link").symlink_to(tmp_path / "open" / "ours")
    assert weakness(folder / "link") == f"others can write to {tmp_path / 'open'}"


def test_links_in_a_circle_end_in_a_sentence(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    assert weakness(folder / "a").endswith(f"leads through more than {MOST_LINKS} links")


def test_what_is_no_folder_or_is_not_there_is_said(folder: Path) -> None:
    (folder / "file").touch()
    assert weakness(folder / "file") == f"{folder / 'file'} is no folder"
    assert weakness(folder / "none") == f"{folder / 'none'} cannot be used (No such file or directory)"
    assert weakness(folder / "file" / "x") == f"{folder / 'file' / 'x'} cannot be used (Not a directory)"


def test_a_folder_in_which_this_user_can_write_nothing_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert weakness(folder) == f"{folder} cannot be written to"


def test_folders_are_made_for_this_user_alone_and_those_that_exist_stay(folder: Path) -> None:
    make_private(folder / "a" / "b")
    assert [(folder / name).stat().st_mode & 0o777 for name in (".", "a", "a/b")] == [0o755, 0o700, 0o700]
    make_private(folder / "a" / "b")
