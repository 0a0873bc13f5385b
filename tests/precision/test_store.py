# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixedpoint_nn.files import scratch
from fixedpoint_nn.precision.store import ResultStore, StoreError, default_path

WRITER = """
import sys
from fixedpoint_nn.precision.store import ResultStore
store = ResultStore(sys.argv[1])
for i in range(10**9):
    store.put(str(i), {"value": i, "text": "x" * 2000})
    print(i, flush=True)
"""


def test_a_result_is_found_again_by_its_key(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.sqlite"
    with ResultStore(path) as store:
        assert store.get("a") is None
        store.put("a", {"metric": 0.5, "saturated": {"fc": 3}})
        store.put("a", {"metric": 0.7})
    with ResultStore(path) as store:
        assert store.get("a") == {"metric": 0.5, "saturated": {"fc": 3}}
        assert len(store) == 1


def test_what_was_put_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    """Killed with SIGKILL at many instants: every result that the writer had announced is found, whole."""
    path = tmp_path / "results.sqlite"
    for delay in (0.0, 0.013, 0.05):
        path.unlink(missing_ok=True)
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert writer.stdout is not None
        for _ in range(5):
            writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        announced = 5 + len(writer.stdout.read().split("\n")) - 1
        writer.wait()
        with ResultStore(path) as store:
            assert announced <= len(store) <= announced + 1
            for i in range(announced):
                assert store.get(str(i)) == {"value": i, "text": "x" * 2000}


def test_several_processes_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    code = (
        "import sys; from fixedpoint_nn.precision.store import ResultStore; s = ResultStore(sys.argv[1])\n"
        "for i in range(30): s.put(sys.argv[2] + str(i), {'i': i})"
    )
    root = Path(__file__).parents[2]
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name], cwd=root) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    with ResultStore(path) as store:
        assert len(store) == 60


def test_a_file_that_is_no_store_is_answered_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    sentence = f"{path} cannot be used as a store of results (file is not a database); name another file"
    with pytest.raises(StoreError, match=f"^{re.escape(sentence)}$"):
        ResultStore(path)


def test_a_damaged_result_is_answered_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    ResultStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO results (key, result) VALUES ('abc', '{\"metric\": 0.')")
    with (
        ResultStore(path) as store,
        pytest.raises(StoreError, match=r"^the result abc in .* is damaged \(it is not JSON: "),
    ):
        store.get("abc")


def test_the_default_file_can_be_named_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FIXEDPOINT_NN_RESULTS", os.fspath(tmp_path / "mine.sqlite"))
    assert default_path() == tmp_path / "mine.sqlite"


def test_results_in_a_cache_that_others_can_change_are_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scratch.warn_once.cache_clear()
    monkeypatch.delenv("FIXEDPOINT_NN_RESULTS", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / name)
    assert default_path() == tmp_path / "fixedpoint_nn" / "results.sqlite"
    tmp_path.chmod(0o777)
    instead = default_path()
    assert instead.parent == scratch.of_this_process()
    assert caplog.messages == [
        f"{tmp_path}/fixedpoint_nn is not used for results, because others can write to {tmp_path}: they go to "
        f"{instead.parent} and are lost when this process ends; set FIXEDPOINT_NN_RESULTS to a place that only you can "
        "change"
    ]


def test_a_full_disk_is_a_sentence_and_keeps_what_had_ended(tmp_path: Path) -> None:
    with ResultStore(tmp_path / "s.sqlite") as store:
        store.put("first", {"metric": 1})
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            with pytest.raises(StoreError) as caught:
                store.put("second", {"metric": 2})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert str(caught.value).startswith(f"a result cannot be written to {tmp_path / 's.sqlite'} (")
        assert str(caught.value).endswith("); make room there, or name another file")
    with ResultStore(tmp_path / "s.sqlite") as store:
        assert (store.get("first"), store.get("second")) == ({"metric": 1}, None)
