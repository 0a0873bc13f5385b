# SPDX-License-Identifier: MIT
"""What a command says when it cannot go on."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class CommandError(Exception):
    """One sentence: the offending value, what was expected, the way out."""


class UsageError(CommandError):
    """A command line that cannot be meant, as far as only the command itself can tell."""


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """`; did you mean 'lenet'?`, or nothing if nothing is near."""
    near = get_close_matches(text, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
