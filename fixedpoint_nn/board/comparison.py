# SPDX-License-Identifier: MIT
"""Comparison of the engines that can run a network: resources and cycles of each.

Cycles, multipliers, block memories and depths are exact, LUTs are estimated (`hardware/tools/lut_estimate.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from fixedpoint_nn.board.chips import Budget
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.fit import memory_luts, needs
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.ir import EngineProgram
from fixedpoint_nn.hardware.compiler.pipeline import (
    MULTIPLIER_BITS,
    ONE_OF_EACH,
    CompiledNetwork,
    finish,
    lower_program,
    packed,
)
from fixedpoint_nn.hardware.isa.config import DRAINS, LANES, WORDS, EngineConfig
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.hardware.tools.activity import Activity, activity
from fixedpoint_nn.hardware.tools.lut_estimate import estimate
from fixedpoint_nn.network.quantized import Quantized, demand_quantized
from fixedpoint_nn.numbers.traced.traced import trace

Shape = tuple[int, int, int]  # lanes, drain, words
Packed = tuple[int, int, int, int]  # and lanes per multiplier
MILESTONES = (4, 16, 64)  # engines after which the remaining time is estimated
WORTH_SAYING = 10.0  # seconds


@dataclass(frozen=True)
class Lack:
    """A resource of which an engine needs more than there is."""

    what: str
    needed: int
    there: int
    exact: bool = True
    parts: str = ""  # its uses

    def __str__(self) -> str:
        about = "" if self.exact else "about "
        return (
            f"{about}{self.needed:,} {self.what}{self.parts}, {self.needed - self.there:,} more than the "
            f"{self.there:,} that there are"
        )


@dataclass(frozen=True)
class Alternative:
    """One engine that can run the network, with its cycles and resources."""

    config: EngineConfig
    batch: int  # samples of a run
    cycles: int  # of a run
    milliseconds: float  # at the budget's clock
    activity: Activity
    luts: int  # an estimate
    multipliers: int
    block_memories: int
    large_memories: int  # of the iCE40
    lacks: tuple[Lack, ...]

    @property
    def shape(self) -> Packed:
        """(lanes, drain, words, pack)."""
        return self.config.lanes, self.config.drain, self.config.words, self.config.pack

    @property
    def fits(self) -> bool:
        """Whether the budget has enough of every resource."""
        return not self.lacks

    @property
    def throughput(self) -> float:
        """Samples per second, run after run, without the time in which the host writes and reads them."""
        return 1000 * self.batch / self.milliseconds

    @property
    def cost(self) -> tuple[int, ...]:
        """A sort key, less is better: cycles, then LUTs, multipliers, memories, and the engine's shape."""
        return (self.cycles, self.luts, self.multipliers, self.block_memories, *self.shape)

    def __str__(self) -> str:
        lanes, drain, words, pack = self.shape
        return f"{lanes} lane{'s' * (lanes > 1)}, drain {drain}, words {words}{', pack 2' * (pack > 1)}"

    def as_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        lanes, drain, words, pack = self.shape
        return {
            "lanes": lanes,
            "drain": drain,
            "words": words,
            "pack": pack,
            "fits": self.fits,
            "throughput": self.throughput,
            **{key: value for key, value in asdict(self).items() if key != "config"},
            "engine": asdict(self.config),
        }


def alternatives(
    fixed: Quantized,
    shape: tuple[int, ...],
    budget: Budget,
    *,
    lanes: int | None = None,
    drain: int | None = None,
    words: int | None = None,
    pack: int | None = None,
    multiplier: int = MULTIPLIER_BITS,
    batch: int = 1,
    progress: Callable[[str], None] | None = None,
) -> tuple[Alternative, ...]:
    """The engines for a network and samples of this shape, `batch` of them in a run, fastest first.

    `lanes`, `drain`, `words` and `pack` are fixed if given. Engines with more lanes than the chip has multipliers are
    omitted, except those with the fewest such lanes: two of them may share a multiplier (`pack`), or they show what
    more multipliers would gain.
    """
    demand_quantized(fixed, "alternatives")
    say = progress or (lambda line: None)
    candidates = list(_candidates(budget, lanes, drain, words))
    if not candidates:
        raise BoardError(
            f"there is no engine of {_or_any(lanes)} lanes that drains {_or_any(drain)} and reads {_or_any(words)} "
            "words per clock; both are at most the lanes"
        )
    if fixed.further:
        raise LoweringError(ONE_OF_EACH)
    say(f"comparing {len(candidates)} engines of {candidates[0][0]} to {candidates[-1][0]} lanes")
    program = trace(fixed.net, shape, fixed.input.format, batch)
    found: list[Alternative] = []
    refusal: LoweringError | None = None
    start = time.perf_counter()
    low: EngineProgram | None = None
    for number, (lane_count, drained, read) in enumerate(candidates):
        try:
            if low is not None and (low.lanes, low.words) == (lane_count, read):
                network = finish(program, replace(low, drain=drained))  # whatever the drain
            else:
                network = lower_program(program, lane_count, drained, multiplier, words=read)
                low = network.stages.lower
            found += _alternatives(network, budget, pack)
        except LoweringError as error:
            refusal = refusal or error
        if number + 1 in MILESTONES:
            rest = (time.perf_counter() - start) / (number + 1) * (len(candidates) - number - 1)
            if rest >= WORTH_SAYING:
                say(f"{number + 1} of {len(candidates)} engines compared; the others take about {rest:.0f} s")
    if not found:
        assert refusal is not None
        raise refusal
    return tuple(sorted(found, key=lambda one: one.cost))


def _candidates(budget: Budget, lanes: int | None, drain: int | None, words: int | None) -> Iterator[Shape]:
    """Every (lanes, drain, words) that may fit, consecutive for equal lanes and words."""
    small = [count for count in LANES if count <= budget.multipliers]
    counts = (lanes,) if lanes is not None else (*small, *LANES[len(small) : len(small) + 1])
    for count in counts:
        for read in (words,) if words is not None else WORDS:
            for drained in (drain,) if drain is not None else DRAINS:
                if max(read, drained) <= count:
                    yield count, drained, read


def _or_any(count: int | None) -> str:
    return "any" if count is None else str(count)


def _alternatives(network: CompiledNetwork, budget: Budget, pack: int | None) -> Iterator[Alternative]:
    """The engine with one multiplier per lane and, if that saves some, the one with shared multipliers."""
    if pack is not None:
        yield _alternative(packed(network, pack), budget)
        return
    yield _alternative(network, budget)
    try:
        sharing = packed(network, 2)
    except LoweringError:
        return
    if needs(sharing.config, budget).multipliers < needs(network.config, budget).multipliers:
        yield _alternative(sharing, budget)


def _alternative(network: CompiledNetwork, budget: Budget) -> Alternative:
    """The cycles and resources of one engine."""
    config = network.config
    plan = schedule(network.instructions, config.lanes, config.drain, config.latency, config.pack)
    if plan is None:
        raise LoweringError("The program jumps on what it has written, so its cycles depend on the data.")
    taken = needs(config, budget)
    return Alternative(
        config,
        network.batch,
        plan.cycles,
        plan.cycles / (budget.mhz * 1000),
        activity(network.instructions, config.lanes, plan),
        about_luts(config, budget),
        taken.multipliers,
        taken.total,
        sum(taken.large.values()),
        lacks(config, budget),
    )


def about_luts(config: EngineConfig, budget: Budget) -> int:
    """Estimated LUTs of the engine and of its memories in LUTs, rounded to ten."""
    return round(estimate(config, budget.chip.lut_inputs) + memory_luts(config, budget), -1)


def lacks(config: EngineConfig, budget: Budget) -> tuple[Lack, ...]:
    """The resources that the budget lacks for an engine."""
    taken, chip = needs(config, budget), budget.chip
    luts = about_luts(config, budget)
    every = (
        Lack(f"{chip.multiplier} multipliers", taken.multipliers, budget.multipliers),
        Lack(f"{chip.block} block memories", taken.total, budget.block_memories, parts=_listed(taken.blocks)),
        Lack("large memories", sum(taken.large.values()), budget.large_memories, parts=_listed(taken.large)),
        Lack("LUTs", luts, budget.luts or luts, exact=False),
    )
    return tuple(one for one in every if one.needed > one.there)


def _listed(parts: dict[str, int]) -> str:
    return f" ({', '.join(f'{name} {count}' for name, count in parts.items() if count)})"
