# SPDX-License-Identifier: MIT
"""Nobody else's program is run as a simulator; damaged ones are built again; the least recently used ones leave."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixedpoint_nn.files import scratch
from fixedpoint_nn.files.trust import weakness
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.sim import build, cache
from fixedpoint_nn.hardware.sim.toolchain import Tool, ToolError

NOBODY = 65534
root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    scratch.warn_once.cache_clear()
    place = tmp_path / "cache"
    monkeypatch.setenv(cache.VARIABLE, str(place))
    return place


def simulator(key: str, content: bytes = b"program") -> Path:
    with cache.new_folder() as built:
        (built / cache.PROGRAM).write_bytes(content)
        return cache.keep(key, built)


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


@root
def test_a_folder_of_ours_inside_that_of_another_user_is_not_trusted(folder: Path) -> None:
    """He could rename it, and put one with a simulator of his in its place."""
    simulator("a")
    os.chown(folder.parent, NOBODY, NOBODY)
    assert cache.cached("a") is None
    assert cache.cache_folder() != folder


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
@pytest.mark.parametrize("which", [".", ".."])
def test_a_folder_that_others_can_write_to_is_not_trusted(folder: Path, which: str, mode: int) -> None:
    simulator("a")
    (folder / which).chmod(mode)
    assert cache.cached("a") is None
    assert cache.cache_folder() != folder
    assert not weakness(cache.cache_folder())


def test_a_cache_that_is_not_used_is_named_once_with_the_reason_and_the_way_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simulator("a")
    folder.parent.chmod(0o777)
    instead = cache.cache_folder()
    cache.cached("a")
    assert cache.cache_folder() == instead
    assert caplog.messages == [
        f"{folder} is not used for compiled simulators, because others can write to {folder.parent}: they go to "
        f"{instead} and are lost when this process ends; set FIXEDPOINT_NN_CACHE to a place that only you can change"
    ]


def test_the_warning_is_one_line_on_stderr(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    code = "from fixedpoint_nn.hardware.sim import cache; cache.cache_folder(); print(cache.cache_folder())"
    environment = {**os.environ, cache.VARIABLE: str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    instead = Path(done.stdout.strip())
    assert done.stderr.splitlines() == [
        f"{tmp_path}/cache is not used for compiled simulators, because others can write to {tmp_path}: they go to "
        f"{instead} and are lost when this process ends; set FIXEDPOINT_NN_CACHE to a place that only you can change"
    ]
    assert not instead.exists()


def test_a_cache_that_is_a_link_to_a_folder_of_ours_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "link"))
    assert cache.cache_folder() == tmp_path / "link"
    (tmp_path / "real").chmod(0o777)
    assert cache.cache_folder() != tmp_path / "link"


def test_a_cache_by_a_relative_path_is_found_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(cache.VARIABLE, "here")
    assert simulator("a") == tmp_path / "here" / "simulators" / "a" / "sim"


def test_folders_above_the_cache_are_made_for_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "a" / "b"))
    before = os.umask(0o002)
    try:
        assert cache.cache_folder() == tmp_path / "a" / "b"
    finally:
        os.umask(before)
    assert not (tmp_path / "a").stat().st_mode & 0o077


def test_without_a_home_the_folder_has_a_name_that_nobody_knows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(cache.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    first = cache.cache_folder()
    assert first == cache.cache_folder()
    assert first.name not in ("fixedpoint_nn", f"fixedpoint_nn-{os.getuid()}")
    assert not weakness(first)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert cache.cache_folder() == first
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "/proc/nowhere/fixedpoint_nn is not used for compiled simulators, because /proc/nowhere cannot be used "
        "(No such file or directory)",
        "a cache at home is not used for compiled simulators, because this user has no home folder",
    ]


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


def test_a_compiler_that_wrote_half_of_a_program_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Icarus does on a full disk, with exit status 0."""
    half = tmp_path / "iverilog"
    half.write_text("#!/bin/sh\nprintf ':vpi_module \"sys' >sim\n")
    half.chmod(0o755)
    monkeypatch.setattr(build, "find_tool", lambda name: Tool(name, half, "12.0"))
    with pytest.raises(ToolError) as caught:
        build.compiled(EngineConfig(), "iverilog")
    assert (
        str(caught.value)
        == f"iverilog wrote a part of the compiled engine into {scratch.place()}; is there room?"
    )
    assert list((tmp_path / "cache").rglob("sim")) == []


def test_a_cache_without_room_is_named_with_the_way_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(target))

    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(ToolError) as caught:
        build.compiled(EngineConfig(), "iverilog")
    assert str(caught.value) == (
        f"the compiled simulator cannot be kept in {folder} (No space left on device); make room there, or set "
        "FIXEDPOINT_NN_CACHE to another place"
    )
    assert list((folder / "simulators").iterdir()) == []
