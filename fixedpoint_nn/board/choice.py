# SPDX-License-Identifier: MIT
"""The fastest engine that fits, why the next faster one does not, and what to do where none does."""

from __future__ import annotations

from collections.abc import Sequence

from fixedpoint_nn.board.chips import Budget, chips
from fixedpoint_nn.board.comparison import Alternative, lacks
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.fit import smallest_change


def fastest(found: Sequence[Alternative], budget: Budget, held: bool = False) -> Alternative:
    """The fastest engine that fits; of equally fast ones that of the fewest LUTs.

    `held`: not every number of lanes was tried, so fewer lanes may be the way out.
    """
    fitting = [one for one in found if one.fits]
    if fitting:
        return min(fitting, key=lambda one: one.cost)
    nearest = min(found, key=_excess)
    others = dict(sorted(chips().items(), key=lambda one: (one[1].family != budget.family, one[1].luts)))
    change = smallest_change(nearest.config, budget, others, "chip", lacks, fewer_lanes=held)
    raise BoardError(
        f"no engine of this network fits the {budget.name}: the nearest one, {nearest}, takes {_all(nearest)}; {change}"
    )


def next_faster(found: Sequence[Alternative], taken: Alternative) -> Alternative | None:
    """The slowest of the engines that are faster than the one taken; they do not fit."""
    faster = [one for one in found if one.cycles < taken.cycles]
    return max(faster, key=lambda one: (one.cycles, -_excess(one)[0]), default=None)


def reason(found: Sequence[Alternative], taken: Alternative, budget: Budget) -> str:
    """Why no faster engine is taken."""
    faster = next_faster(found, taken)
    if faster is None:
        return "None of the engines that were compared is faster."
    return (
        f"The next faster one, {faster} ({faster.cycles:,} cycles), does not fit the {budget.name}: "
        f"it takes {_all(faster)}."
    )


def worth_showing(found: Sequence[Alternative], taken: Alternative) -> list[Alternative]:
    """The next faster one, the one taken, and behind it those that fit and take fewer LUTs than every faster one."""
    faster = next_faster(found, taken)
    shown = [faster] if faster else []
    for one in sorted((one for one in found if one.fits), key=lambda one: one.cost):
        if one is taken or one.luts < shown[-1].luts:
            shown.append(one)
    return shown


def _excess(one: Alternative) -> tuple[float, ...]:
    """How far from fitting: of what relatively the most is missing, of how much there is too little, then the cost."""
    worst = max((lack.needed / max(1, lack.there) for lack in one.lacks), default=0.0)
    return (worst, len(one.lacks), *one.cost)


def _all(one: Alternative) -> str:
    return ", and ".join(map(str, one.lacks))
