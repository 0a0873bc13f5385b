# SPDX-License-Identifier: MIT
"""`emit --budget`: its options, the table of compared engines, and the reason why no faster one is taken."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from fixedpoint_nn.board.boards import find_board, names
from fixedpoint_nn.board.chips import Budget, chips, find_budget, stated
from fixedpoint_nn.board.choice import fastest, reason, worth_showing
from fixedpoint_nn.board.comparison import Alternative, alternatives
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.cli.arguments import positive
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.hardware.tools.lut_estimate import MARGINS
from fixedpoint_nn.network.quantized import Quantized

OWN = ("dsp", "bram", "lut")
ACTIVITY = ("multiply-adds", "weight rows", "words read", "written")  # what energy goes by


@dataclass(frozen=True)
class EngineComparison:
    """The compared engines, their budget, and the one taken."""

    budget: Budget
    found: tuple[Alternative, ...]
    taken: Alternative

    @property
    def reason(self) -> str:
        """A sentence that says why no faster engine was taken."""
        return reason(self.found, self.taken, self.budget)

    def text(self, every: bool = False, width: int | None = None) -> str:
        """The table of all engines, or of the relevant ones, and why no faster one is taken.

        In a terminal narrower than the table (width in characters) the counts that energy depends on are left out.
        """
        shown = self.found if every else worth_showing(self.found, self.taken)
        table, said = _table(shown, self.taken, self.budget), self._said(len(shown))
        if width is not None and len(table.split("\n", 1)[0]) > width:
            table = _table(shown, self.taken, self.budget, activity=False)
            said += f"\n{', '.join(ACTIVITY)}: in a wider terminal, or by --json."
        return f"{table}\n\n{said}"

    def _said(self, shown: int) -> str:
        budget, one = self.budget, self.taken
        hidden = len(self.found) - shown
        left_out = f" {hidden} more engines were compared; -v shows them." if hidden else ""
        margin = MARGINS[budget.chip.lut_inputs]
        together = (
            f"A run computes {one.batch} samples; its cycles, ms and what energy goes by are of all of them.\n"
            if one.batch > 1
            else ""
        )
        return (
            f"{together}* taken, for {budget.mhz:g} MHz ({budget.clock}): {one}. {self.reason}{left_out}\n"
            f"LUTs are estimates, within {margin:.0%} of what yosys made of the engines that were measured; all else "
            "is exact. Whether the clock is reached is for placing and routing to say."
        )

    def as_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return {
            "within": asdict(self.budget),
            "taken": self.taken.as_json(),
            "reason": self.reason,
            "luts_within": MARGINS[self.budget.chip.lut_inputs],
            "alternatives": [one.as_json() for one in self.found],
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --budget, and the options for budgets given as numbers."""
    parser.add_argument(
        "--budget",
        metavar="CHIP",
        help=f"choose lanes, drain, words per clock and pack: the fastest engine that fits {', '.join(chips())}, "
        f"or a board ({', '.join(names())}, or a file); without --out only the table of engines",
    )
    own = parser.add_argument_group(
        "a budget of your own, in the place of --budget (of a Xilinx 7, with --mhz)"
    )
    own.add_argument("--dsp", type=positive, metavar="N", help="multipliers that there are")
    own.add_argument("--bram", type=positive, metavar="N", help="block memories of 36 kbit that there are")
    own.add_argument("--lut", type=positive, metavar="N", help="LUTs that there are (default: not counted)")


def asked(arguments: argparse.Namespace) -> bool:
    """Whether the options ask for a choice of engine."""
    return arguments.budget is not None or any(getattr(arguments, name) is not None for name in OWN)


def from_arguments(arguments: argparse.Namespace) -> Budget | None:
    """The budget of the options; None without any."""
    if not asked(arguments):
        return None
    given = [f"--{name}" for name in OWN if getattr(arguments, name) is not None]
    if arguments.budget is None:
        if arguments.dsp is None or arguments.bram is None or arguments.clock_mhz is None:
            raise CommandError(
                f"a budget of your own, here {' '.join(given)}, takes --dsp, --bram and --mhz; "
                "or name a chip, --budget xc7a35t"
            )
        return stated(arguments.dsp, arguments.bram, arguments.clock_mhz, arguments.lut or 0)
    if given:
        raise CommandError(
            f"--budget {arguments.budget} states the resources itself; leave out {' and '.join(given)}, or --budget"
        )
    try:
        budget = find_budget(arguments.budget)
        if arguments.clock_mhz is not None:
            return replace(budget, mhz=arguments.clock_mhz, clock="as stated")
        if arguments.board is not None:
            return replace(
                budget, mhz=find_board(arguments.board).mhz, clock=f"the clock of {arguments.board}"
            )
    except BoardError as error:
        raise CommandError(str(error)) from error
    return budget


def compare_engines(
    fixed: Quantized,
    shape: tuple[int, ...],
    budget: Budget,
    arguments: argparse.Namespace,
    say: Callable[[str], None],
) -> EngineComparison:
    """Compare engines within a budget, and take the fastest that fits."""
    found = alternatives(
        fixed,
        shape,
        budget,
        lanes=arguments.lanes,
        drain=arguments.drain,
        words=arguments.words_per_clock,
        pack=arguments.pack,
        multiplier=arguments.multiplier,
        batch=arguments.batch,
        progress=say,
    )
    return EngineComparison(budget, found, fastest(found, budget, held=arguments.lanes is not None))


def again(arguments: argparse.Namespace) -> list[object]:
    """The options as given, to repeat the command."""
    given: list[object] = []
    for name in ("budget", *OWN):
        value = getattr(arguments, name)
        given += [f"--{name}", value] if value is not None else []
    return given


def _table(shown: Sequence[Alternative], taken: Alternative, budget: Budget, activity: bool = True) -> str:
    """Engines in order of speed, with `*` before the one taken and `-` before those that do not fit."""
    chip = budget.chip
    large, together = any(one.large_memories for one in shown), taken.batch > 1
    head = [
        "",
        "lanes",
        "drain",
        "words",
        "pack",
        "about LUT",
        chip.multiplier,
        chip.block,
        *["large"] * large,
    ]
    head += ["cycles", "ms", *["samples/s"] * together, *(ACTIVITY if activity else ())]
    rows = [head]
    for one in shown:
        counts = one.activity
        sizes = [one.luts, one.multipliers, one.block_memories, *[one.large_memories] * large, one.cycles]
        rows.append(
            ["*" if one is taken else "" if one.fits else "-"]
            + [str(number) for number in one.shape]
            + [f"{size:,}" for size in sizes]
            + [f"{one.milliseconds:.4g}"]
            + [f"{one.throughput:,.0f}"] * together
            + [
                f"{count:,}"
                for count in (
                    (counts.multiply_accumulates, counts.weight_rows, counts.words_read, counts.words_written)
                    if activity
                    else ()
                )
            ]
        )
    limits = ["", "", "", "", "there:", f"{budget.luts:,}" if budget.luts else "any"]
    limits += [f"{budget.multipliers:,}", f"{budget.block_memories:,}", *[str(budget.large_memories)] * large]
    rows.append(limits + [""] * (len(head) - len(limits)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
