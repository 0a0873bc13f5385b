# SPDX-License-Identifier: MIT
"""Mutants that no program and no host can tell from the engine, though one step of induction does not show it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# (pack, place) as a pattern, and why.
ANY = r"conformance.*"
REASONS: dict[tuple[str, str], str] = {
    (ANY, r"sequencer\.v:\d+, sequencer\.v:\d+: .* of procmux A\[\d+\].* \(access_address\[\d+\]\)"): (
        "the address of a Load or a Store is used in the clock after it was written; this changes it in later ones"
    ),
    (ANY, r"sequencer\.v:77: const1 of eq A\[2\]"): (
        "a Halt adds -1 to its register as a Loop does, and nobody reads the sum"
    ),
    (ANY, r"sequencer\.v:111: cnot0 of procmux A\[(283|447)\] by bit \d+"): (
        "a bit of a description that no field has, changed while no word comes; the words of the next run push it out"
    ),
    ("conformance_saturating", r"sequencer\.v:111: cnot1 of procmux B\[32\] by bit 29"): (
        "bit 29 is 0 in the first word of a run and in the last word of the run before, which are the ones that "
        "decide; after a reset it may be 1, which changes the barrier of the first run, which has nothing to wait for"
    ),
    (ANY, r"sequencer\.v:40, sequencer\.v:92: inv of procdff Q\[0\] \(access_best\[0\]\)"): (
        "it is used two clocks after it is written, and inverted in each of the two"
    ),
    (ANY, r"lane\.v:77: (cnot0|const1) of procmux A\[[23]\]( by bit 6)?"): (
        "the largest word of a tile, changed by a step that is not on the slow path: none of a tile with a largest is"
    ),
    (ANY, r"drain\.v:67: const0 of procmux A\[1\]"): (
        "a selector asks its conditions in order, and this is the last, of which one always holds"
    ),
    (ANY, r"write_back\.v:84: cnot0 of not A\[10\] by bit 14"): (
        "only formats of more than 14 bits have such a bit in the mask; a table of so many words does not exist, so "
        "that their words are small and not negative"
    ),
    (ANY, r"loop_nest\.v:254: inv of ternary B\[51\]"): (
        "in the clock of a reset the bits that have an effect are cleared; this is one that has none without them"
    ),
    (ANY, r"requantize\.v:180: const1 of reduce_or A\[10\]"): (
        "sums have 25 bits: a shift by 32 and more loses bits of every negative one, and leaves no half of another; "
        "without a half, what is lost does not matter to a sum that is not negative"
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
