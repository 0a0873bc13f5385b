# SPDX-License-Identifier: MIT
"""What a killed process left behind goes with the next call; what a living one uses stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixedpoint_nn.files import abandoned, scratch

NOBODY = 65534
HOLD = """
import sys, time
from pathlib import Path
from fixedpoint_nn.files import scratch
with scratch.folder_in(Path(sys.argv[1]), "name") as folder:
    (folder / "file").write_text("half")
    print(folder, flush=True)
    time.sleep(1000)
"""


def test_a_folder_goes_with_the_call_after_the_process_that_was_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    with scratch.folder_in(tmp_path, "name") as other:
        assert sorted(tmp_path.iterdir()) == sorted([folder, other])  # the process lives
    process.kill()
    process.communicate()
    assert folder.exists()
    with scratch.folder_in(tmp_path, "name") as other:
        assert list(tmp_path.iterdir()) == [other]


def test_a_folder_that_is_about_to_be_held_stays_for_an_hour(tmp_path: Path) -> None:
    (tmp_path / "name+00000001").mkdir()
    abandoned.remove(tmp_path, "name")
    assert (tmp_path / "name+00000001").exists()
    then = time.time() - abandoned.HOUR
    os.utime(tmp_path / "name+00000001", (then, then))
    abandoned.remove(tmp_path, "name")
    assert not (tmp_path / "name+00000001").exists()


@pytest.mark.parametrize(
    "name",
    [
        "other-00000001",
        "name",
        "namely-00000001",
        "name-1",
        "name-y-00000001",
        "name-12345678-00000001",
    ],
)
def test_what_has_another_name_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    abandoned.remove(tmp_path, "name")
    assert (tmp_path / name).exists()


def test_a_link_or_a_file_of_such_a_name_stays(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "name-link0000").symlink_to(tmp_path / "precious")
    (tmp_path / "name-file0000").touch()
    abandoned.remove(tmp_path, "name")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_folder_of_another_user_stays(tmp_path: Path) -> None:
    (tmp_path / "name-00000001").mkdir()
    os.chown(tmp_path / "name-00000001", NOBODY, NOBODY)
    abandoned.remove(tmp_path, "name")
    assert (tmp_path / "name-00000001").exists()


def test_without_locks_a_folder_stays_for_a_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abandoned, "hold", lambda folder: None)
    (tmp_path / "name-00000001").mkdir()
    then = time.time() - abandoned.WEEK
    os.utime(tmp_path / "name-00000001", (then + 60, then + 60))
    abandoned.remove(tmp_path, "name")
    assert (tmp_path / "name-00000001").exists()
    os.utime(tmp_path / "name-00000001", (then - 60, then - 60))
    abandoned.remove(tmp_path, "name")
    assert not (tmp_path / "name-00000001").exists()


def test_a_folder_that_its_block_renames_stays(tmp_path: Path) -> None:
    with scratch.folder_in(tmp_path, "name") as folder:
        folder.rename(tmp_path / "kept")
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]


FORK = """
import os, sys
from pathlib import Path
from fixedpoint_nn.files import scratch
with scratch.folder_in(Path(sys.argv[1]), "name") as folder:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print(folder.exists())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_that_ends_takes_no_folder_of_its_parent_away(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert list(tmp_path.iterdir()) == []
