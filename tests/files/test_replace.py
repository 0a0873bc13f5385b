# SPDX-License-Identifier: MIT
"""A folder is replaced in one step: whoever looks finds the old one or the new one, whatever kills the writer."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixedpoint_nn.files import replace, scratch
from fixedpoint_nn.files.exchange import exchange

ROOT = Path(__file__).parents[2]
CRASHES = """
import shutil, sys
from itertools import count
from pathlib import Path
from fixedpoint_nn.files import replace
from tests.support.crash import killed_at

above, exchanges = Path(sys.argv[1]), sys.argv[2] == "True"
place = above / "place"
if exchanges:
    real = replace.exchange
    replace.exchange = lambda *names: (real(*names), sys.audit("exchanged"))[0]
else:
    replace.exchange = lambda *names: False

def write(text):
    with replace.replaced(place) as new:
        for name in ("a", "b"):
            (new / name).write_text(text)

def content():
    replace.heal(place)
    return {path.name: path.read_text() for path in place.iterdir()}

old, new = ({"a": text, "b": text} for text in ("old", "new"))
seen = []
for step in count(1):
    shutil.rmtree(above)
    above.mkdir()
    write("old")
    if not killed_at(step, lambda: write("new")):
        break
    found = content()
    assert found in (old, new), (step, found)
    seen.append(found["a"])
    write("newer")
    assert content() == {"a": "newer", "b": "newer"}
    left = [path.name for path in above.iterdir() if path != place]
    assert all(name.startswith(".place+") for name in left), (step, left)
assert content() == new
assert [path.name for path in above.iterdir()] == ["place"]
print(seen.count("old"), seen.count("new"), seen == sorted(seen, reverse=True))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("exchanges", [True, False])
def test_a_writer_that_is_killed_at_any_step_leaves_the_old_folder_or_the_new_one(
    exchanges: bool, tmp_path: Path
) -> None:
    (tmp_path / "above").mkdir()
    command = [sys.executable, "-c", CRASHES, tmp_path / "above", str(exchanges)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    old, new, in_order = done.stdout.split()
    assert int(old) >= 10
    assert int(new) >= 3
    assert in_order == "True"  # the old one, from some step on the new one


def test_two_folders_exchange_their_names(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "one", tmp_path / "other"):
        assert sys.platform not in ("linux", "darwin")
        return
    assert (tmp_path / "one" / "other").exists()
    assert (tmp_path / "other" / "one").exists()
    with pytest.raises(FileNotFoundError) as caught:
        exchange(tmp_path / "one", tmp_path / "none")
    assert caught.value.filename == str(tmp_path / "one")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL])
def test_a_file_system_that_cannot_exchange_is_asked_once_and_nothing_happens(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fixedpoint_nn.files.exchange._call", lambda: lambda one, other: -1)
    monkeypatch.setattr("ctypes.get_errno", lambda: number)
    assert not exchange(tmp_path / "one", tmp_path / "other")
    place = tmp_path / "place"
    for text in ("old", "new"):
        with replace.replaced(place) as new:
            (new / text).touch()
    assert [path.name for path in place.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [place]


def test_a_system_without_either_call_takes_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    from fixedpoint_nn.files import exchange as module

    module._call.cache_clear()
    monkeypatch.setattr("platform.system", lambda: "Windows")
    try:
        assert module._call() is None
        assert not exchange(Path("one"), Path("other"))
    finally:
        module._call.cache_clear()


def test_an_error_in_the_block_leaves_the_old_folder_and_nothing_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "place"
    with replace.replaced(place) as new:
        (new / "old").touch()

    def half() -> None:
        with replace.replaced(place) as new:
            (new / "half").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert [path.name for path in place.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "old").touch()
    (tmp_path / "link").symlink_to("real")
    with replace.replaced(tmp_path / "link") as new:
        (new / "new").touch()
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["new"]


def test_a_writer_that_was_healed_between_its_two_renames_has_nothing_left_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, rename = tmp_path / "place", Path.rename
    place.mkdir()
    (place / "old").touch()
    monkeypatch.setattr(replace, "exchange", lambda *_: False)

    def and_a_reader(path: Path, target: Path) -> Path:
        result = rename(path, target)
        if path == place:
            monkeypatch.setattr(Path, "rename", rename)
            replace.heal(place)
            assert (place / "new").exists()
        return result

    monkeypatch.setattr(Path, "rename", and_a_reader)
    with replace.replaced(place) as new:
        (new / "new").touch()
    assert [path.name for path in place.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [place]


def test_a_place_that_somebody_has_emptied_is_not_filled_by_what_was_never_finished(tmp_path: Path) -> None:
    journal = tmp_path / ".place-abcdefgh"
    (journal / replace.NEW).mkdir(parents=True)
    replace.heal(tmp_path / "place")
    assert not (tmp_path / "place").exists()
    (journal / replace.OLD).mkdir()
    replace.heal(tmp_path / "place")
    assert (tmp_path / "place").exists()


def test_a_writer_does_not_sweep_away_the_only_copy_of_another_one(tmp_path: Path) -> None:
    """Its owner was killed between its two renames, just after this writer had looked."""
    journal, place = tmp_path / ".place-abcdefgh", tmp_path / "place"
    for name in (replace.NEW, replace.OLD):
        (journal / name).mkdir(parents=True)
    with scratch.folder_in(tmp_path, ".place", lambda left: replace._is_needed(left, place)):
        assert journal.exists()
    place.mkdir()
    with scratch.folder_in(tmp_path, ".place", lambda left: replace._is_needed(left, place)):
        assert not journal.exists()


@pytest.mark.parametrize("name", ["a+b", "a-b", "x" * 250, "é" * 120, "[a-z]*", ".hidden", "a b\n"])
def test_a_place_of_any_name_is_replaced_and_healed_and_its_neighbours_are_not(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replace, "exchange", lambda *_: False)
    place = tmp_path / name
    for text in ("old", "new"):
        with replace.replaced(place) as new:
            (new / text).touch()
    assert [path.name for path in place.iterdir()] == ["new"]
    with scratch.folder_in(tmp_path, replace._name(place)) as journal:  # as between the two renames
        place.rename(journal / replace.OLD)
        (journal / replace.NEW).mkdir()
        for other in (name[:-1], f"{name[:-1]}z", name.partition("-")[0]):
            if other and other != name:
                replace.heal(tmp_path / other)
                assert not (tmp_path / other).exists()
                with replace.replaced(tmp_path / other):
                    pass
                assert (journal / replace.NEW).exists()
        replace.heal(place)
        assert place.exists()
