# SPDX-License-Identifier: MIT
"""Mutants that no program and no host can tell from the engine, though one step of induction does not show it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# (pack, place) as a pattern, and why.
REASONS: dict[tuple[str, str], str] = {
    ("conformance", r"lane\.v:97: const1 of logic_not A\[0\]"): (
        "outside of the image the operand is 0 already; the factor is 0 too for simulators that know undefined weights,"
        " and the lane's bench brings some"
    ),
    ("conformance", r"sequencer\.v:147: cnot1 of procmux A\[1\] by bit 2"): (
        "the words of a run are counted in another order, 15, 13, 14, 12 and so on, and are as many"
    ),
    ("conformance_groups", r"sequencer\.v:165: inv of procmux A\[3\]"): (
        "a short description inverts it in each of 12 clocks, and a long one fills it anew"
    ),
    ("conformance_groups", r"loop_nest\.v:230: cnot1 of add A\[3\] by bit 8"): (
        "a column's ninth bit is set in the last of 256 columns alone, after which they begin again at 1"
    ),
    ("conformance_multiplied", r"lane\.v:87: inv of procmux A\[1\]"): (
        "the largest word changes in clocks in which nothing is pooled, and a run that pools begins with its first word"
    ),
    ("conformance_multiplied", r"multiply\.v:48: cnot0 of procmux A\[26\] by bit 22"): (
        "a product changes after the one clock in which it is read"
    ),
    ("conformance_packed", r"group_sum\.v:25, group_sum\.v:48: cnot0 of procmux A\[44\] by bit 47 .*"): (
        "lane 2 is drained in the third clock, when it has been changed twice"
    ),
    ("conformance_packed", r"group_sum\.v:25, group_sum\.v:48: cnot0 of procdff Q\[23\] by bit 14 .*"): (
        "lane 1 is drained in the second clock, when it has been changed twice"
    ),
    ("conformance_saturating", r"requantize\.v:231: cnot0 of not Y\[5\] by bit 7"): (
        "the sign of a format that is wider than a word counts in a ReLU alone, and a run with both is refused"
    ),
    ("conformance_wrapping", r"sequencer\.v:130: inv of procmux A\[603\]"): (
        "of a whole description nobody reads this bit, which has no name, and until then another word comes there"
    ),
    ("streamed", r"weight_window\.v:74, weight_window\.v:75: const0 of ternary Y\[10\] .*"): (
        "this engine has 553 rows, and so no row's number has the bit"
    ),
}


def reason(pack: str, place: str) -> str:
    """Why this mutant is as good as the engine; empty if that is not known."""
    for (judge, pattern), why in REASONS.items():
        if re.fullmatch(judge, pack) and re.fullmatch(pattern, place):
            return why
    return ""


def unused_reasons(listed: Iterable[tuple[str, str]]) -> list[str]:
    """Entries that no surviving mutant needs."""
    places = list(listed)
    return [
        f"{judge}: {pattern}"
        for judge, pattern in REASONS
        if not any(re.fullmatch(judge, pack) and re.fullmatch(pattern, place) for pack, place in places)
    ]
