# SPDX-License-Identifier: MIT
"""`python -m benchmarks.two_cores`: two threads, and two processes of a sweep; by wall clock, for an idle machine."""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported

import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from functools import partial  # noqa: E402
from statistics import median  # noqa: E402

from benchmarks.sweep import WORDS, images  # noqa: E402
from fixedpoint_nn import calibrate, quantize, sweep, zoo  # noqa: E402
from fixedpoint_nn.numbers.threads import VARIABLE  # noqa: E402

ROUNDS = 5


def speed_up(one: Callable[[], object], two: Callable[[], object]) -> float:
    """How many times as fast the second is, the median of pairs of runs."""
    ratios = []
    for _ in range(ROUNDS):
        seconds = []
        for work in (one, two):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / seconds[1])
    return median(ratios[1:])


def with_threads(count: int, work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        os.environ[VARIABLE] = str(count)
        for _ in range(5):
            work()

    return run


def main() -> int:
    for name in ("fashion_mlp", "lenet", "resnet8", "mnist_lstm"):
        net, (x, _, samples) = zoo.load(name), images(name)
        fixed = quantize(net, calibrate(net, samples, word=8))
        ratio = speed_up(*(with_threads(count, partial(fixed, x)) for count in (1, 2)))
        print(
            f"{name}, {len(x):,} images, 8 bits: two threads are {ratio:.2f} x one; the aim is 1.7 x",
            flush=True,
        )
    os.environ[VARIABLE] = "1"
    net, (x, y, samples) = zoo.load("lenet"), images("lenet")

    def swept(jobs: int) -> Callable[[], object]:
        return lambda: sweep(net, (x, y), WORDS, samples=samples, store=":memory:", progress=False, jobs=jobs)

    print(
        f"sweep of lenet: two processes are {speed_up(swept(1), swept(2)):.2f} x one; the aim is 1.8 x",
        flush=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
