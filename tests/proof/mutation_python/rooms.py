# SPDX-License-Identifier: MIT
"""The rooms that are mutated, and the folders of tests that must notice."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGE = "fixedpoint_nn"

ROOMS: dict[str, str] = {
    "numerics": "numerics",
    "numbers": "numbers",
    "compiler": "hardware/compiler",
}

JUDGES = (
    "tests/numerics",
    "tests/numbers",
    "tests/layers",
    "tests/network",
    "tests/hardware/compiler",
    "tests/hardware/emulator",
)


def modules(room: str) -> list[Path]:
    """The source files of a room."""
    if room not in ROOMS:
        raise SystemExit(f"{room!r} is no room that is mutated; use {', '.join(ROOMS)}")
    return sorted(path for path in (ROOT / PACKAGE / ROOMS[room]).rglob("*.py") if path.stem != "__init__")
