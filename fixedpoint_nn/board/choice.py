# SPDX-License-Identifier: MIT
"""The choice of an engine: the fastest that fits, and why no faster one does."""

from __future__ import annotations

from collections.abc import Sequence

from fixedpoint_nn.board.chips import Budget, chips
from fixedpoint_nn.board.comparison import Alternative, lacks
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.fit import smallest_change


def fastest(found: Sequence[Alternative], budget: Budget, held: bool = False) -> Alternative:
    """The fastest engine that fits; of equally fast ones the one with the fewest LUTs. Raises if none fits.

    `held`: not every number of lanes was tried, so the message may propose fewer lanes.
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
    """The slowest of the faster engines, none of which fits; None if there is none."""
    faster = [one for one in found if one.cycles < taken.cycles]
    return max(faster, key=lambda one: (one.cycles, -_excess(one)[0]), default=None)


def reason(found: Sequence[Alternative], taken: Alternative, budget: Budget) -> str:
    """A sentence that says why no faster engine is taken."""
    faster = next_faster(found, taken)
    if faster is None:
        return "None of the engines that were compared is faster."
    return (
        f"The next faster one, {faster} ({faster.cycles:,} cycles), does not fit the {budget.name}: "
        f"it takes {_all(faster)}."
    )


def worth_showing(found: Sequence[Alternative], taken: Alternative) -> list[Alternative]:
    """The next faster engine, the one taken, and slower ones that fit with fewer LUTs than every faster one."""
    faster = next_faster(found, taken)
    shown = [faster] if faster else []
    for one in sorted((one for one in found if one.fits), key=lambda one: one.cost):
        if one is taken or one.luts < shown[-1].luts:
            shown.append(one)
    return shown


def _excess(one: Alternative) -> tuple[float, ...]:
    """A sort key of how far an engine is from fitting: largest relative lack, number of lacks, cost."""
    worst = max((lack.needed / max(1, lack.there) for lack in one.lacks), default=0.0)
    return (worst, len(one.lacks), *one.cost)


def _all(one: Alternative) -> str:
    return ", and ".join(map(str, one.lacks))
