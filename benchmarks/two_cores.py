# SPDX-License-Identifier: MIT
"""Two threads of a network, and two processes of a sweep, beside one; by wall clock, for an idle machine.

What the machine itself gives is measured in the same rounds: two processes that know nothing of each other, each with
half of the batch. A measurement during which other programs used the processor is repeated, where Linux tells it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sweep import WORDS, images
from benchmarks.timing import Comparison, Target
from fixedpoint_nn import calibrate, quantize, sweep, zoo
from fixedpoint_nn.numbers.threads import VARIABLE

CLOCK = "wall"
SECONDS = 0.25  # of one measurement
ONE, TWO, APART = "one thread", "two threads", "two processes, half of the batch each"
ALONE, SHARED = "one process", "two processes (jobs=2)"
NETWORKS = ("fashion_mlp", "lenet", "resnet8", "mnist_lstm")
AIM, AIM_OF_SWEEP = 1.7, 1.8
SWEPT, SAMPLES, PAIRS = "mnist_lstm", 16_000, 1  # a sweep of about a minute in one process
MOST_OF_OTHERS = 0.05  # of one processor's time
TRIES, TRIES_OF_SWEEP = 3, 2


def busy() -> float:
    """Seconds that all processors have worked for other programs than this one and its ended children."""
    try:
        numbers = Path("/proc/stat").read_text("utf-8").split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _, _, *interrupts = map(int, numbers[:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


def undisturbed(measure: Callable[[], float], tries: int) -> float:
    """The result of a measurement, repeated while others work; of several disturbed ones, the least disturbed."""
    found = []
    for _ in range(tries):
        before, start = busy(), time.perf_counter()
        result = measure()
        share = (busy() - before) / (time.perf_counter() - start)
        found.append((share, result))
        if share < MOST_OF_OTHERS:
            break
    return min(found)[1]


def seconds_of(work: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def seconds_twice(work: Callable[[], object], times: int) -> float:
    """The time of the slower of two processes that do the same at the same time."""
    (ready, is_ready), (go, may_go) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(is_ready, b"r")
            os.read(go, 1)
            os.write(is_ready, np.float64(seconds_of(work, times)).tobytes())
        finally:
            os._exit(0)
    os.read(ready, 1)
    os.write(may_go, b"g")
    here = seconds_of(work, times)
    there = float(np.frombuffer(os.read(ready, 8))[0])
    os.waitpid(child, 0)
    for end in (ready, is_ready, go, may_go):
        os.close(end)
    return max(here, there)


def _network(name: str, rounds: int) -> Comparison:
    net, (x, _, samples) = zoo.load(name), images(name)
    fixed = quantize(net, calibrate(net, samples, word=8))
    whole, half = partial(fixed, x), partial(fixed, x[: len(x) // 2])
    rates: dict[str, list[float]] = {ONE: [], TWO: [], APART: []}
    times = 0
    for _ in range(rounds):
        os.environ[VARIABLE] = "1"
        times = times or max(2, round(SECONDS / seconds_of(whole, 2)))
        seconds = {
            ONE: undisturbed(partial(seconds_of, whole, times), TRIES),
            APART: undisturbed(partial(seconds_twice, half, times), TRIES),
        }
        os.environ[VARIABLE] = "2"
        seconds[TWO] = undisturbed(partial(seconds_of, whole, times), TRIES)
        for way in rates:
            rates[way].append(len(x) / seconds[way])
    title = f"{name}, {len(x):,} images, 8 bits"
    return Comparison(title, "images", rates, [Target(TWO, ONE, AIM)])


def _sweep() -> Comparison:
    net, entry = zoo.load(SWEPT), zoo.entry(SWEPT)
    (x, y), (other, labels) = entry.examples("test"), entry.examples("train")
    data = np.concatenate([x, other])[:SAMPLES], np.concatenate([y, labels])[:SAMPLES]

    def swept(jobs: int) -> Any:
        return sweep(net, data, WORDS, samples=other[:500], store=":memory:", progress=False, jobs=jobs)

    rates: dict[str, list[float]] = {ALONE: [], SHARED: []}
    for _ in range(PAIRS):
        for way, jobs in ((ALONE, 1), (SHARED, 2)):
            measure = partial(seconds_of, partial(swept, jobs), 1)
            rates[way].append(len(WORDS) / undisturbed(measure, TRIES_OF_SWEEP))
    title = f"A sweep of {len(WORDS)} word lengths of {SWEPT}, {len(data[0]):,} images"
    return Comparison(title, "word lengths", rates, [Target(SHARED, ALONE, AIM_OF_SWEEP)])


def run(rounds: int, clock: str) -> list[Comparison]:
    """The comparisons; `clock` is the wall's, whatever is given, because two cores need less time, not less work."""
    before = os.environ.get(VARIABLE)
    try:
        networks = [_network(name, rounds) for name in NETWORKS]
        os.environ[VARIABLE] = "1"
        return [*networks, _sweep()]
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
