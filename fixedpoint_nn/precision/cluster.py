# SPDX-License-Identifier: MIT
"""Running tasks in this process, in worker processes that share the data, on an executor, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fixedpoint_nn.files import scratch
from fixedpoint_nn.precision.heartbeat import beat, watching
from fixedpoint_nn.precision.shared import pack, unpack

Task = tuple[Any, ...]
Compute = Callable[..., dict[str, Any]]
Done = Iterator[tuple[str, dict[str, Any]]]

# Dask's errors for a task whose workers were killed repeatedly, or whose data are lost.
LOST = ("KilledWorker", "CancelledError", "FutureCancelledError")
CONNECT_SECONDS = 10.0  # for a scheduler to answer
MESSAGE = "common"  # the name of the file with the common part of all tasks
_directory: Path | None = None  # the folder of this worker process,
_common: Any = None  # and the common part of its tasks, once it has computed one


class WorkerDied(RuntimeError):
    """Raised for a point whose worker process ended while computing it."""


def run_all(
    compute: Compute,
    common: Any,
    tasks: Mapping[str, Task],
    jobs: int = 1,
    executor: Executor | None = None,
    scheduler: str | None = None,
    workers: Workers | None = None,
) -> Done:
    """(key, `compute(common, *task)`) of every task, in order of completion; `workers` have begun before."""
    if jobs < 1:
        raise ValueError(f"jobs is a number of processes from 1 up, not {jobs}")
    if sum((jobs > 1, executor is not None, scheduler is not None)) > 1:
        raise ValueError("jobs, executor and scheduler are three ways to compute; choose one")
    if executor is not None:
        yield from _on_executor(compute, common, tasks, executor)
    elif scheduler is not None:
        with _connected(scheduler) as client:
            yield from _on_executor(compute, common, tasks, client.get_executor())
    elif jobs > 1 and len(tasks) > 1:
        yield from _in_processes(compute, common, tasks, min(jobs, len(tasks)), workers)
    else:
        for key, task in tasks.items():
            yield key, compute(common, *task)


# ---- processes of this machine -----------------------------------------------------------------------


class Workers:
    """Worker processes; they begin at once, and import what they need while the problem is still being made."""

    def __init__(self, jobs: int, directory: Path) -> None:
        self.jobs, self.directory = jobs, directory
        self.begin()

    def begin(self) -> None:
        """Start new processes."""
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(self.jobs, context, _start, (self.directory,))
        for _ in range(self.jobs):
            self.pool.submit(_ready)


@contextmanager
def begun(jobs: int) -> Iterator[Workers]:
    """A context with `jobs` worker processes, for `run_all`."""
    with scratch.folder() as directory:
        workers = Workers(jobs, directory)
        try:
            yield workers
        finally:
            workers.pool.shutdown(cancel_futures=True)


def _start(directory: Path) -> None:
    global _directory
    _directory = directory
    threading.Thread(target=_end_with_parent, args=(directory,), daemon=True).start()
    threading.Thread(target=beat, args=(directory,), daemon=True).start()


def _ready() -> None:
    """Nothing; but a process that is given this imports this module, and all that a point needs."""


def _end_with_parent(directory: Path) -> None:
    """End this worker when its parent dies; otherwise the workers of a killed sweep would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(1)


def _compute_here(compute: Compute, task: Task) -> dict[str, Any]:
    global _common
    if _common is None:
        assert _directory is not None
        _common = unpack((_directory / MESSAGE).read_bytes())
    return compute(_common, *task)


def _in_processes(
    compute: Compute, common: Any, tasks: Mapping[str, Task], jobs: int, workers: Workers | None
) -> Done:
    """In a pool of processes; a point whose worker died or stopped its heartbeat is retried once."""
    left = dict(tasks)
    with ExitStack() as stack:
        workers = workers or stack.enter_context(begun(jobs))
        (workers.directory / MESSAGE).write_bytes(pack(common, workers.directory))
        for last in (False, True):
            try:
                for key, result in _in_one_pool(compute, workers, left):
                    del left[key]
                    yield key, result
            except BrokenProcessPool:
                if last:
                    raise WorkerDied(
                        "a worker process was killed in the middle of a point (out of memory?); "
                        "run the same command again with fewer jobs: what had ended is kept"
                    ) from None
                workers.begin()
                continue
            return


def _in_one_pool(compute: Compute, workers: Workers, tasks: Mapping[str, Task]) -> Done:
    with watching(workers.directory) as watch:
        futures = {workers.pool.submit(_compute_here, compute, task): key for key, task in tasks.items()}
        watch.start()
        try:
            yield from _as_they_end(futures)
        finally:
            for future in futures:
                future.cancel()


def _as_they_end(futures: Mapping[Future[Any], str]) -> Done:
    for future in as_completed(futures):
        with _told():
            result = future.result()
        yield futures[future], result


@contextmanager
def _told() -> Iterator[None]:
    """A context that turns Dask's errors about lost workers into one sentence."""
    try:
        yield
    except (CancelledError, Exception) as error:
        if type(error).__name__ not in LOST:
            raise
        raise WorkerDied(
            "the cluster lost its workers in the middle of a point; "
            "run the same command again: what had ended is kept"
        ) from error


# ---- executors and Dask ------------------------------------------------------------------------------


def _on_executor(compute: Compute, common: Any, tasks: Mapping[str, Task], executor: Executor) -> Done:
    """On any `concurrent.futures` executor; one of Dask goes to `_on_dask`."""
    client = getattr(executor, "_client", None)
    if client is not None and hasattr(client, "scatter"):
        yield from _on_dask(compute, common, tasks, client, getattr(executor, "_kwargs", {}))
        return
    futures = {executor.submit(compute, common, *task): key for key, task in tasks.items()}
    try:
        yield from _as_they_end(futures)
    finally:
        for future in futures:
            future.cancel()


def _point(task: Task, compute: Compute, common: Any) -> dict[str, Any]:
    return compute(common, *task)


def _on_dask(
    compute: Compute, common: Any, tasks: Mapping[str, Task], client: Any, options: Mapping[str, Any]
) -> Done:
    """On Dask: the common part is sent once to each worker, all tasks in one message; results come in batches."""
    from distributed import as_completed

    (shared,) = client.scatter([common], broadcast=True, hash=False)  # a bare dict would be scattered by key
    given = {"pure": False, **options}
    futures = client.map(_point, list(tasks.values()), compute=compute, common=shared, **given)
    keys = dict(zip((future.key for future in futures), tasks, strict=True))
    try:
        for ended in as_completed(futures).batches():  # type: ignore[no-untyped-call]
            good = [future for future in ended if future.status == "finished"]
            results = client.gather(good)
            yield from ((keys[future.key], result) for future, result in zip(good, results, strict=True))
            for future in ended:
                with _told():
                    future.status == "finished" or future.result()
    finally:
        client.cancel(futures)


@contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    """A context with a client of the Dask scheduler at this address."""
    try:
        from distributed import Client
    except ImportError:
        raise ImportError(
            "a Dask scheduler needs the package `distributed`; pip install 'fixedpoint_nn[dask]'"
        ) from None
    try:
        client: Any = Client(scheduler, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {scheduler}; start one with `dask scheduler`"
        ) from error
    with client:
        yield client
