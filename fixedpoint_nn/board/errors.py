# SPDX-License-Identifier: MIT
"""Errors between host and board."""

from __future__ import annotations


class BoardError(RuntimeError):
    """Raised if a request to the board failed; the next call starts anew."""


class NoAnswer(BoardError):
    """Raised if no answer came in time."""


class EngineBusy(BoardError):
    """Raised if the board refused a request because its engine runs."""
