# SPDX-License-Identifier: MIT
"""The mutants that no test notices, each with the reason; `survivors.txt` lists them.

A line is `NAME | REASON`; `*` in a name stands for any text. A reason that starts with "equivalent" says that no
test can notice, because the integers that come out are the same.
"""

from __future__ import annotations

import re
from pathlib import Path

SURVIVORS = Path(__file__).with_name("survivors.txt")


def read_survivors() -> dict[str, str]:
    """Each pattern of a name, and the reason."""
    known: dict[str, str] = {}
    for number, line in enumerate(SURVIVORS.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, separator, reason = line.rpartition(" | ")
        if not separator or not reason.strip():
            raise SystemExit(f"{SURVIVORS.name}:{number} gives no reason; write NAME | REASON")
        if pattern in known:
            raise SystemExit(f"{SURVIVORS.name}:{number} lists {pattern!r} twice; keep one")
        known[pattern.strip()] = reason.strip()
    return known


def reason_of(name: str, known: dict[str, str]) -> tuple[str | None, str]:
    """The first pattern that fits the name, with its reason; (None, "") if none does."""
    for pattern, reason in known.items():
        if re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name):
            return pattern, reason
    return None, ""
