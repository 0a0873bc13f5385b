# SPDX-License-Identifier: MIT
"""Mutants that no program and no host can tell from the engine, though one step of induction does not show it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# (pack, place) as a pattern, and why.
ANY = r"conformance.*"
REASONS: dict[tuple[str, str], str] = {
    (ANY, r"lane\.v:\d+, lane\.v:\d+: const1 of logic_and A\[0\] \(fire_3\[0\]\)"): (
        "where nothing is to be done, the operand is the one that was compared already, or the next step is a first "
        "one, which replaces the largest whatever it is"
    ),
    (ANY, r"engine\.v:\d+, engine\.v:\d+: inv of procdff Q\[\d+\] \(output_base\[\d+\]\)"): (
        "the bit turns over with every clock, and is asked for in one clock alone, two after it was written"
    ),
    (ANY, r"sequencer\.v:\d+, sequencer\.v:\d+: .* of procmux A\[\d+\].* \(access_address\[\d+\]\)"): (
        "the address of a Load or a Store is used in the clock after it was written; this changes it in later ones"
    ),
    (ANY, r"loop_nest\.v:246: (inv of and A\[23\]|const1 of and A\[49\]|const0 of ternary B\[57\])"): (
        "in the clock of a reset the bits that have an effect are cleared; this is one that has none without them"
    ),
    (ANY, r"write_back\.v:\d+.*: cnot1 of (not Y\[9\] by bit 28|procdff Q\[8\] by bit 24 .*)"): (
        "only formats of more than 24 bits have such a bit in the mask; a table of so many words does not exist, so "
        "that their words are small and not negative"
    ),
    (ANY, r"loop_nest\.v:148: cnot0 of sub Y\[4\] by bit 1"): (
        "the 15 states of the counter are run through in another order, and it is asked for 0 alone"
    ),
    (ANY, r"sequencer\.v:\d+, sequencer\.v:\d+: cnot1 of procdff Q\[2\] by bit 4 \(left\[2\]\)"): (
        "19 to 16 are run through in another order; asked for is whether it is one of them, 1, or 0"
    ),
    (ANY, r"requantize\.v:93: const1 of reduce_or A\[14\]"): (
        "sums have 25 bits: a shift by 32 and more leaves a half only of a negative one, of which the sign is lost "
        "as well; without a half, what is lost does not matter to a sum that is not negative"
    ),
    (ANY, r"loop_nest\.v:150(, \S+)?: cnot1 of procmux A\[9\] by bit 10"): (
        "a tile of more than 1,024 channels never waits among them: only between runs does this counter stand "
        "still, and there nothing asks for it"
    ),
    ("conformance", r"argmax\.v:24: cnot1 of procmux B\[7\] by bit 6"): (
        "the largest word of a search that has not begun is undefined, and replaced by the first one"
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
