# SPDX-License-Identifier: MIT
"""Sentences break between words in a terminal, and nowhere else."""

from __future__ import annotations

import io

import pytest

from fixedpoint_nn.cli.terminal import columns, fitted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


SENTENCE = "a sentence that is wider than the thirty columns of this terminal"
TABLE = "network    parameters    accuracy on data"
COMMAND = "go on with: fixedpoint-nn train moons --resume"


def test_a_sentence_breaks_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert columns(Terminal()) == 30
    assert fitted(SENTENCE, Terminal()) == (
        "a sentence that is wider than\nthe thirty columns of this\nterminal"
    )


def test_tables_and_commands_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    text = f"{TABLE}\n{COMMAND}\n  {SENTENCE}\nshort"
    assert fitted(text, Terminal()) == text


def test_a_file_gets_every_line_as_it_is() -> None:
    assert columns(io.StringIO()) is None
    assert fitted(SENTENCE, io.StringIO()) == SENTENCE
