# SPDX-License-Identifier: MIT
"""Nobody else's program is run as a simulator; damaged ones are built again; the least recently used ones leave."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fixedpoint_nn.hardware.sim import cache

NOBODY = 65534
root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "cache"
    monkeypatch.setenv(cache.VARIABLE, str(place))
    return place


def simulator(key: str, content: bytes = b"program") -> Path:
    scratch = cache.new_folder()
    (scratch / cache.PROGRAM).write_bytes(content)
    return cache.keep(key, scratch)


def test_what_is_kept_is_found_again_in_a_private_folder(folder: Path) -> None:
    assert cache.cached("a") is None
    program = simulator("a")
    assert cache.cached("a") == program
    assert program.read_bytes() == b"program"
    assert folder in program.parents
    assert all(not place.stat().st_mode & 0o077 for place in (folder, folder / "simulators", program.parent))


def test_the_first_of_several_processes_wins() -> None:
    first, second = simulator("a", b"one"), simulator("a", b"two")
    assert first == second
    assert first.read_bytes() == b"one"


def test_a_damaged_simulator_is_not_run_but_built_again() -> None:
    program = simulator("a")
    program.write_bytes(b"other program")
    assert cache.cached("a") is None
    assert not program.exists()
    assert simulator("a").read_bytes() == b"program"


def test_a_simulator_without_its_checksum_is_not_run() -> None:
    program = simulator("a")
    (program.parent / cache.CHECKSUM).unlink()
    assert cache.cached("a") is None


@root
@pytest.mark.parametrize("which", [".", "simulators", "simulators/a"])
def test_a_folder_of_another_user_is_not_trusted(folder: Path, which: str) -> None:
    simulator("a")
    os.chown(folder / which, NOBODY, NOBODY)
    assert cache.cached("a") is None


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_folder_that_others_can_write_to_is_not_trusted(folder: Path, mode: int) -> None:
    simulator("a")
    folder.chmod(mode)
    assert cache.cached("a") is None
    assert cache.cache_folder() != folder
    assert cache.is_ours(cache.cache_folder())


def test_a_link_is_no_folder_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "link"))
    assert cache.cache_folder() not in (tmp_path / "link", tmp_path / "real")


def test_without_a_home_the_folder_has_a_name_that_nobody_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(cache.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    first = cache.cache_folder()
    assert first == cache.cache_folder()
    assert first.name not in ("fixedpoint_nn", f"fixedpoint_nn-{os.getuid()}")
    assert cache.is_ours(first)


def test_the_least_recently_used_leave_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    for age, key in enumerate("abcd"):
        used = time.time() - cache.RECENT * (10 - age)
        program = simulator(key, b"x" * 1000)
        os.utime(program.parent, (used, used))
    os.utime(cache._simulators() / "a")  # used just now
    monkeypatch.setenv(cache.SIZE_VARIABLE, "0.0025")  # 2,500 bytes
    cache.prune()
    assert [key for key in "abcd" if cache.cached(key)] == ["a", "d"]


def test_a_simulator_that_was_used_within_the_hour_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.SIZE_VARIABLE, "0")
    simulator("a")
    simulator("b")
    assert cache.cached("a") and cache.cached("b")


def test_a_limit_that_is_no_number_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.SIZE_VARIABLE, "much")
    with pytest.raises(ValueError) as caught:
        cache.prune()
    assert (
        str(caught.value) == "FIXEDPOINT_NN_CACHE_MB='much' is no number of megabytes; use one, such as 500"
    )
