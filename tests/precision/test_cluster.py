# SPDX-License-Identifier: MIT
from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.cli import main
from fixedpoint_nn.precision import Training, sweep
from fixedpoint_nn.precision.cluster import WorkerDied, run_all
from fixedpoint_nn.precision.shared import pack, unpack
from fixedpoint_nn.training.batches import Samples
from tests.precision.test_sweep import problem, without_time

WORDS = range(2, 14)


def doubled(common: Any, value: int) -> dict[str, Any]:
    return {"value": common["factor"] * value, "process": os.getpid()}


def mapped(common: Any, _: int) -> dict[str, Any]:
    """Is the large array a file that is mapped, and the small one a plain array?"""
    large, small = common["large"], common["small"]
    return {
        "large": isinstance(large, np.memmap),
        "small": isinstance(small, np.memmap),
        "sum": float(large.sum()),
        "writable": large.flags.writeable,
    }


def dies(common: Any, value: int) -> dict[str, Any]:
    if value == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": value}


def patient(common: Any, plan: str, trained: bool) -> dict[str, Any]:
    """A point that takes long enough to be killed in."""
    from fixedpoint_nn.precision.problem import evaluate

    time.sleep(0.2)
    return {**evaluate(common, plan, trained), "process": os.getpid()}


def slowly(common: Any, value: int) -> dict[str, Any]:
    time.sleep(0.1)
    return {"value": value, "file": common["large"].filename}


KILLED = """
import numpy as np
from fixedpoint_nn.precision.cluster import run_all
from tests.precision.test_cluster import slowly
tasks = {str(i): (i,) for i in range(600)}
for _, result in run_all(slowly, {"large": np.ones(100_000)}, tasks, jobs=2):
    print(result["file"], flush=True)
"""


def test_processes_compute_every_task() -> None:
    tasks = {str(i): (i,) for i in range(6)}
    results = dict(run_all(doubled, {"factor": 3}, tasks, jobs=2))
    assert {key: result["value"] for key, result in results.items()} == {str(i): 3 * i for i in range(6)}
    assert os.getpid() not in {result["process"] for result in results.values()}


def test_processes_map_large_arrays_instead_of_copying_them() -> None:
    common = {"large": np.ones(100_000), "small": np.ones(3)}
    results = dict(run_all(mapped, common, {"a": (0,), "b": (1,)}, jobs=2))
    assert results["a"] == {"large": True, "small": False, "sum": 100_000.0, "writable": False}


def test_a_message_comes_back_whole(tmp_path: Path) -> None:
    net, (x, _y) = problem()
    message = {"net": net, "x": x, "large": np.arange(50_000)}
    again = unpack(pack(message, tmp_path))
    assert np.array_equal(again["large"], message["large"])
    assert isinstance(again["large"], np.memmap)
    assert np.array_equal(again["net"]["fc1"].weight.data, net["fc1"].weight.data)
    assert list(again["net"].parts) == list(net.parts)


def test_a_worker_process_that_is_killed_is_answered_with_a_sentence() -> None:
    sentence = (
        "a worker process was killed in the middle of a point (out of memory?); "
        "run the same command again with fewer jobs: what had ended is kept"
    )
    with pytest.raises(WorkerDied, match=f"^{re.escape(sentence)}$"):
        list(run_all(dies, {}, {str(i): (i,) for i in range(5)}, jobs=2))


def test_workers_of_a_sweep_that_is_killed_end_and_leave_nothing() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert child.stdout is not None
    folder = Path(child.stdout.readline().strip()).parent
    assert folder.name.startswith("fixedpoint_nn_run-")
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)  # returns when the last process that could write has ended
    assert not folder.exists()


def test_any_executor_gives_the_same_points() -> None:
    net, data = problem()
    here = sweep(net, data, (3, 8), store=":memory:", progress=False)
    with ThreadPoolExecutor(1) as executor:
        there = sweep(net, data, (3, 8), store=":memory:", progress=False, executor=executor)
    assert without_time(here) == without_time(there)


def test_workers_begin_with_the_longest_points() -> None:
    net, data = problem()
    ended: list[str] = []
    with ThreadPoolExecutor(1) as executor:
        found = sweep(
            net, data, (3, 8, 5), store=":memory:", progress=False, executor=executor,
            on_point=lambda point: ended.append(point.value),
        )  # fmt: skip
    assert ended == ["8", "5", "3"]
    assert [point.value for point in found] == ["3", "8", "5"]


def test_points_in_threads_of_one_process_do_not_see_each_other() -> None:
    """As on a Dask worker, which has a thread for each core unless it is told otherwise."""
    net, (x, y) = problem("lstm")
    data = np.tile(x, (30, 1)), np.tile(y, (30, 1))
    options = {"words": range(2, 10), "methods": ("ptq", "qat"), "store": ":memory:", "progress": False}
    training = Training(Samples(x, y, 10), epochs=1)
    here = sweep(net, data, training=training, **options)
    for _ in range(3):
        with ThreadPoolExecutor(4) as executor:
            there = sweep(net, data, training=training, executor=executor, **options)
        assert without_time(there) == without_time(here)
        assert [point.snr_db for point in there] == [point.snr_db for point in here]
        assert [point.values for point in there] == [point.values for point in here]


class KilledWorker(Exception):
    """What Dask raises when a task has taken its workers down."""


def test_a_cluster_that_loses_its_workers_is_answered_with_a_sentence() -> None:
    def killed(*_: Any) -> dict[str, Any]:
        raise KilledWorker

    sentence = (
        "the cluster lost its workers in the middle of a point; "
        "run the same command again: what had ended is kept"
    )
    with ThreadPoolExecutor(1) as executor, pytest.raises(WorkerDied, match=f"^{re.escape(sentence)}$"):
        list(run_all(killed, {}, {"a": (1,)}, executor=executor))


def test_an_error_of_a_point_is_not_hidden() -> None:
    def wrong(*_: Any) -> dict[str, Any]:
        raise ZeroDivisionError("a point divides by zero")

    sentence = "a point divides by zero"
    with ThreadPoolExecutor(1) as executor, pytest.raises(ZeroDivisionError, match=f"^{sentence}$"):
        list(run_all(wrong, {}, {"a": (1,)}, executor=executor))


def third_divides_by_zero(common: Any, value: int) -> dict[str, Any]:
    return {"value": common["factor"] * 6 // (value - 3)}


def test_on_dask_a_dictionary_is_common_and_an_error_of_a_point_leaves_the_others() -> None:
    distributed = pytest.importorskip("distributed")
    found = {}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as local,
        distributed.Client(local) as client,
    ):
        executor = client.get_executor()
        again = dict(run_all(doubled, {"factor": 2}, {"a": (1,), "b": (2,)}, executor=executor))
        assert {key: result["value"] for key, result in again.items()} == {"a": 2, "b": 4}
        tasks = {"bad": (3,)} | {str(i): (i,) for i in (1, 2, 4, 5)}
        with pytest.raises(ZeroDivisionError):
            found.update(run_all(third_divides_by_zero, {"factor": 1}, tasks, executor=executor))
    assert all(found[key] == {"value": 6 // (int(key) - 3)} for key in found)
    assert "bad" not in found


# ---- a real scheduler and two real workers -----------------------------------------------------------


@pytest.fixture
def cluster() -> Iterator[tuple[Any, str]]:
    """Processes of their own."""
    distributed = pytest.importorskip("distributed")
    from distributed.deploy.subprocess import SubprocessCluster

    here = Path(__file__).parent
    with pytest.MonkeyPatch.context() as patch:  # the workers import this file, too
        patch.setenv(
            "PYTHONPATH", os.pathsep.join([str(here.parent), str(here), os.environ.get("PYTHONPATH", "")])
        )
        with SubprocessCluster(
            n_workers=2,
            threads_per_worker=1,
            worker_kwargs={"dashboard": False},
            scheduler_kwargs={"dashboard": False},
        ) as started:
            with distributed.Client(started) as client:
                client.wait_for_workers(2, timeout=60)
            yield started, started.scheduler_address


def test_a_dask_cluster_gives_every_point_once_though_a_worker_is_killed(
    cluster: tuple[Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import import_module

    from distributed import Client

    net, data = problem()
    here = sweep(net, data, WORDS, store=":memory:", progress=False)
    module = import_module("fixedpoint_nn.precision.sweep")
    monkeypatch.setattr(module, "evaluate", patient)
    put: list[str] = []
    workers: set[int] = set()
    original = module.ResultStore.put

    with Client(cluster[1]) as client:
        assert len(client.run(os.getpid)) == 2

        def put_and_kill(store: Any, key: str, result: dict[str, Any]) -> None:
            workers.add(result["process"])
            original(store, key, result)
            put.append(key)
            if len(put) == 2:
                os.kill(result["process"], signal.SIGKILL)

        monkeypatch.setattr(module.ResultStore, "put", put_and_kill)
        there = sweep(
            net, data, WORDS, store=tmp_path / "s.sqlite", progress=False, executor=client.get_executor()
        )
    assert without_time(there) == without_time(here)
    assert len(put) == len(set(put)) == there.computed == len(WORDS)
    assert len(workers) >= 2  # the killed one, and who went on


def test_a_scheduler_is_reached_by_its_address(cluster: tuple[Any, str], tmp_path: Path) -> None:
    net, data = problem()
    here = sweep(net, data, (3, 8), store=":memory:", progress=False)
    there = sweep(net, data, (3, 8), store=":memory:", progress=False, scheduler=cluster[1])
    assert without_time(there) == without_time(here)
    for name, place in (("here", ()), ("there", ("--scheduler", cluster[1]))):
        assert main(["sweep", "moons", "--words", "3:5", *place, "--out", str(tmp_path / name)]) == 0
    layers = [(tmp_path / name / "layers.csv").read_text() for name in ("here", "there")]
    assert layers[0] == layers[1]
    points = [list(csv.DictReader((tmp_path / name / "sweep.csv").open())) for name in ("here", "there")]
    assert [{**row, "seconds": ""} for row in points[0]] == [{**row, "seconds": ""} for row in points[1]]


def test_no_scheduler_is_answered_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("fixedpoint_nn.precision.cluster.CONNECT_SECONDS", 0.5)
    net, data = problem()
    sentence = "no Dask scheduler answers at tcp://127.0.0.1:1; start one with `dask scheduler`"
    with pytest.raises(ConnectionError, match=f"^{re.escape(sentence)}$"):
        sweep(net, data, (3,), store=":memory:", progress=False, scheduler="tcp://127.0.0.1:1")
