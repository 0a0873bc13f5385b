# SPDX-License-Identifier: MIT
"""Engines side by side: every engine once per round, so that a busy machine is busy for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class DirtyBaseline(RuntimeError):
    """A float baseline that no ratio may be printed to."""


@dataclass(frozen=True)
class Engine:
    """One way to do the work; `amount` is how much of it one run does, and slow ones run in few rounds."""

    name: str
    run: Callable[[], Any]
    amount: float
    slow: bool = False


@dataclass(frozen=True)
class Target:
    """`engine` is to be at least `ratio` times as fast as `baseline`."""

    engine: str
    baseline: str
    ratio: float


@dataclass(frozen=True)
class Comparison:
    """Amount per second of each engine and round, the first engine being the baseline, and what is aimed at."""

    title: str
    unit: str
    rates: dict[str, list[float]]
    targets: Sequence[Target] = ()
    work: Mapping[str, float] = field(default_factory=dict)  # "macs" and "bytes" of one unit
    per: str = "second"

    def ratio(self, engine: str, baseline: str) -> float:
        """The median over rounds that both ran in; neighbours in time, so load cancels."""
        return median(a / b for a, b in zip(self.rates[engine], self.rates[baseline]))

    def reached(self) -> Iterator[tuple[Target, float]]:
        """The targets whose engines ran, each with the ratio that was measured."""
        for target in self.targets:
            if target.engine in self.rates and target.baseline in self.rates:
                yield target, self.ratio(target.engine, target.baseline)

    @property
    def missed(self) -> int:
        return sum(ratio < target.ratio for target, ratio in self.reached())

    def lines(self) -> list[str]:
        width = max(map(len, self.rates))
        first = next(iter(self.rates))
        lines = [f"{'':{width}}  {f'{self.unit}/{self.per}':>18}  {'x ' + first:>24}"]
        for name, rates in self.rates.items():
            lines.append(f"{name:{width}}  {median(rates):>18,.4g}  {self.ratio(name, first):>24.5g}")
        for target, ratio in self.reached():
            verdict = "reached" if ratio >= target.ratio else "MISSED"
            lines.append(
                f"{verdict}: {target.engine} is {ratio:,.2f} x {target.baseline}; "
                f"the target is {target.ratio:,g} x"
            )
        return lines

    def record(self) -> dict[str, Any]:
        """The figures for `results.json`."""
        first = next(iter(self.rates))
        engines = {
            name: {"rate": median(rates), "ratio": self.ratio(name, first), "rounds": len(rates)}
            for name, rates in self.rates.items()
        }
        targets = [
            {
                "engine": t.engine,
                "baseline": t.baseline,
                "aim": t.ratio,
                "ratio": ratio,
                "holds": ratio >= t.ratio,
            }
            for t, ratio in self.reached()
        ]
        return {
            "title": self.title,
            "unit": self.unit,
            "per": self.per,
            "baseline": first,
            "engines": engines,
            "targets": targets,
            **self.work,
        }


def compare(
    title: str,
    engines: Sequence[Engine],
    unit: str,
    rounds: int,
    clock: str,
    targets: Sequence[Target] = (),
    work: Mapping[str, float] | None = None,
) -> Comparison:
    """Every engine once per round, each after a run that nobody times: memory and caches are its own then.

    Slow ones run in the first round only, and once.
    """
    now = CLOCKS[clock]
    rates: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for i in range(rounds):
        for engine in engines:
            if engine.slow and i:
                continue
            if not engine.slow:
                engine.run()
            start = now()
            engine.run()
            rates[engine.name].append(engine.amount / (now() - start))
    return Comparison(title, unit, rates, targets, work or {})


def check_baseline(
    name: str, run: Callable[[], Any], products: Callable[[], Any], multiple: float, rounds: int = 5
) -> None:
    """Refuse a float pass that takes more than `multiple` times the time of its own matrix products."""
    pairs = []
    for _ in range(rounds):
        times = []
        for work in (run, products):
            work()
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        pairs.append(times[0] / times[1])
    if median(pairs) > multiple:
        raise DirtyBaseline(
            f"the float pass of {name} takes {median(pairs):.1f} times as long as its matrix products alone, "
            f"and a clean one takes {multiple:g} times at most; look for subnormal weights or a slow NumPy"
        )
