# SPDX-License-Identifier: MIT
"""Lists of words are cleaned, with their accents kept; damaged files are one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixedpoint_nn.data import DataError, read_lines, read_tagged_names

TAGGED = (
    "01_prenom;02_genre;03_langage;04_fréquence\r\n"
    "adélaïde   ;f;french;15.48\r\n"
    "ai ;f;japanese;0\r\n"
    "ai ;f;french (rare);0\r\n"
    "zsa zsa;f;hungarian;0\r\n"
    "Théo;m;greek, ancient greek (latinized), french;1\r\n"
    "jean-luc;m;french;1\r\n"
    "sans;m;;1\r\n"
)


def written(path: Path, text: str, encoding: str = "iso-8859-1") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_lines_are_cleaned_once_each_with_their_accents(tmp_path: Path) -> None:
    text = "Noé\r\n  zoé \n\nnoé\nno\u0065\u0301\nr2d2\na b\nçélia\nœdipe\nanne-marie"
    assert read_lines(written(tmp_path / "a", text, "utf-8")) == (
        "noé",
        "zoé",
        "çélia",
        "œdipe",
        "anne-marie",
    )


def test_tagged_names_are_chosen_by_language_without_qualifiers(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", TAGGED)
    assert read_tagged_names(path, "french") == ("adélaïde", "ai", "théo", "jean-luc")
    assert read_tagged_names(path, "ancient greek") == ("théo",)
    assert read_tagged_names(path) == ("adélaïde", "ai", "théo", "jean-luc", "sans")


def test_a_language_that_no_name_has_is_answered_by_those_there_are(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", TAGGED)
    with pytest.raises(DataError) as error:
        read_tagged_names(path, "klingon")
    assert str(error.value) == (
        f"No name of {path} is tagged 'klingon'; "
        "its languages are ancient greek, french, greek, hungarian, japanese."
    )


def test_another_csv_file_is_refused_by_its_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "name;age\r\nbob;3\r\n")
    with pytest.raises(DataError) as error:
        read_tagged_names(path)
    assert str(error.value) == f"{path} has no column 01_prenom or 03_langage; its columns are name, age."
    with pytest.raises(DataError, match=r"its columns are none\.$"):
        read_tagged_names(written(tmp_path / "b.csv", ""))


def test_a_short_row_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "01_prenom;02_genre;03_langage\r\nzoé;f\r\nnoé;m;french\r\n")
    assert read_tagged_names(path) == ("zoé", "noé")
    assert read_tagged_names(path, "french") == ("noé",)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a", "noé")
    with pytest.raises(DataError) as error:
        read_lines(path)
    assert str(error.value) == f"{path} is not utf-8 text (byte 2 is 0xe9); convert it first."
