# SPDX-License-Identifier: MIT
"""Engines side by side: every engine once per round, so that a busy machine is busy for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


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
    """Amount per second of each engine and round."""

    unit: str
    rates: dict[str, list[float]]

    def ratio(self, engine: str, baseline: str) -> float:
        """The median over rounds that both ran in; neighbours in time, so load cancels."""
        return median(a / b for a, b in zip(self.rates[engine], self.rates[baseline]))

    def lines(self, targets: Sequence[Target]) -> list[str]:
        width = max(map(len, self.rates))
        first = next(iter(self.rates))
        lines = [f"{'':{width}}  {self.unit + '/s':>16}  {'x ' + first:>24}"]
        for name, rates in self.rates.items():
            lines.append(f"{name:{width}}  {median(rates):>16,.0f}  {self.ratio(name, first):>24.5g}")
        for target in targets:
            if target.engine in self.rates and target.baseline in self.rates:
                reached = self.ratio(target.engine, target.baseline)
                verdict = "reached" if reached >= target.ratio else "MISSED"
                lines.append(
                    f"{verdict}: {target.engine} is {reached:,.2f} x {target.baseline}; "
                    f"the target is {target.ratio:,g} x"
                )
        return lines


def compare(engines: Sequence[Engine], unit: str, rounds: int, clock: str) -> Comparison:
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
    return Comparison(unit, rates)
