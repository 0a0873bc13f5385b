# SPDX-License-Identifier: MIT
"""Where a command's progress goes: to stderr, so that stdout holds nothing but results."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def quiet(line: str) -> None:
    """With --json nothing is said."""
