# SPDX-License-Identifier: MIT
"""Points on Dask: `python -m benchmarks cluster`.

Two questions. How well do two worker processes use two cores: the same points with one worker and with two, by the
clock on the wall and by the processors' time (other programs disturb the first, hardly the second). And what does a
point cost beside its own work on a large cluster: 1,000 points that only wait, on 64 workers a tenth of them killed.
The exit status is 1 if an aim is missed or a point is lost.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from importlib import import_module
from typing import Any

import numpy as np

from fixedpoint_nn.precision.cluster import run_all
from fixedpoint_nn.precision.store import ResultStore

EFFICIENCY = 0.9  # of two workers against one
OVERHEAD = 5e-3  # seconds for each point
SIZE, PRODUCTS = 384, 150  # of the matrices that a point multiplies, and how many: half a second
WAIT = 0.5  # seconds of a point on the simulated cluster


def multiplies(common: Any, seed: int) -> dict[str, Any]:
    """A point that computes: products of float32 matrices, with one thread."""
    from threadpoolctl import threadpool_limits

    begin = time.process_time()
    x = np.random.default_rng(seed).normal(size=(SIZE, SIZE)).astype(np.float32)
    y = x
    with threadpool_limits(1, "blas"):
        for _ in range(PRODUCTS):
            y = x @ (y / np.abs(y).max())
    return {"sum": float(y.sum()), "cpu": time.process_time() - begin}


def waits(common: Any, number: int) -> dict[str, Any]:
    """A point that only waits."""
    time.sleep(common["seconds"])
    return {"number": number}


def _tasks(count: int) -> dict[str, tuple[int]]:
    return {str(i): (i,) for i in range(count)}


def with_workers(workers: int, points: int) -> dict[str, float]:
    """Seconds of all points on so many worker processes: on the wall, and of the processors within the points."""
    dask: Any = import_module("distributed")
    with (
        dask.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        dask.Client(cluster) as client,
    ):
        executor: Executor = client.get_executor()
        dict(run_all(multiplies, {}, _tasks(2 * workers), executor=executor))  # modules are loaded
        begin = time.perf_counter()
        found = dict(run_all(multiplies, {}, {f"p{i}": (100 + i,) for i in range(points)}, executor=executor))
        passed = time.perf_counter() - begin
    return {"wall": passed, "cpu": sum(result["cpu"] for result in found.values())}


def efficiency(points: int, rounds: int) -> tuple[float, float]:
    """Of two workers against one, by the wall's clock and by the processors' time: the best of some rounds each."""
    one = [with_workers(1, points) for _ in range(rounds)]
    two = [with_workers(2, points) for _ in range(rounds)]
    best = {name: min(r[name] for r in one) / min(r[name] for r in two) for name in ("wall", "cpu")}
    return best["wall"] / 2, best["cpu"]


def on_many_workers(points: int, workers: int, killed: int) -> dict[str, float]:
    """Seconds per point beside its own wait, and the points that were lost, while so many workers are killed."""
    dask: Any = import_module("distributed")
    with (
        dask.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=50
        ) as cluster,
        dask.Client(cluster) as client,
        ResultStore(":memory:") as store,
    ):
        executor: Executor = client.get_executor()
        dict(run_all(waits, {"seconds": 0.0}, _tasks(workers), executor=executor))
        victims = list(cluster.workers.values())[:killed]
        tasks = {f"p{i}": (i,) for i in range(points)}
        found: dict[str, int] = {}
        wall, cpu = time.perf_counter(), time.process_time()
        for key, result in run_all(waits, {"seconds": WAIT}, tasks, executor=executor):
            store.put(key, result)
            found[key] = result["number"]
            if len(found) == workers:
                for worker in victims:
                    cluster.loop.add_callback(_die, worker)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    lost = sum(found.get(key) != number for key, (number,) in tasks.items())
    rounds = -(-points // (workers - killed))  # how often the workers that are left wait at least
    return {"lost": lost, "wall": (wall - rounds * WAIT) / points, "cpu": cpu / points}


async def _die(worker: Any) -> None:
    """End a worker in the middle of its point: its connection breaks first, so it says nothing to anyone."""
    worker.batched_stream.abort()
    await worker.close(timeout=0, executor_wait=False, nanny=False, reason="killed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both, and say which aims are reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cluster", description=__doc__)
    parser.add_argument("--points", type=int, default=1000, help="on the simulated cluster")
    parser.add_argument("--workers", type=int, default=64, help="of the simulated cluster")
    parser.add_argument("--computed", type=int, default=40, help="points for two workers against one")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    killed = options.workers // 10
    many = on_many_workers(options.points, options.workers, killed)
    slow = many["cpu"] > OVERHEAD  # of scheduler, client and all that the workers do besides waiting
    print(
        f"{options.points} points on {options.workers} workers, {killed} of them killed: "
        f"{1e3 * many['cpu']:.2f} ms of the processor each ({1e3 * many['wall']:.2f} ms passed beside their own wait), "
        f"{many['lost']:.0f} lost; aim {1e3 * OVERHEAD:g} ms, none lost: "
        f"{'MISSED' if slow or many['lost'] else 'reached'}",
        flush=True,
    )
    by_wall, by_cpu = efficiency(options.computed, options.rounds)
    print(
        f"{options.computed} points on 2 workers against 1: efficiency {by_wall:.0%} by the wall's clock, {by_cpu:.0%} "
        f"by the processors' time, with a load of {os.getloadavg()[0]:.1f}; aim {EFFICIENCY:.0%}: "
        f"{'reached' if by_wall >= EFFICIENCY else 'MISSED'}"
    )
    return 1 if slow or many["lost"] or by_wall < EFFICIENCY else 0
