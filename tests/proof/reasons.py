# SPDX-License-Identifier: MIT
"""Mutants that no program and no host can tell from the engine, though one step of induction does not show it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# (pack, place) as a pattern, and why.
ANY = r"conformance.*"
REASONS: dict[tuple[str, str], str] = {
    (ANY, r"engine\.v:239: inv of procdff CLK\[0\]"): (
        "a setting of the back end that is taken over half a clock early: `configure` waits until nothing is on its "
        "way there, which is proven (`settings_collide`), and the first sum comes clocks later"
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
