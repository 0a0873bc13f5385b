# SPDX-License-Identifier: MIT
"""Word lists: one word per line, or a CSV file with the languages of each; both are cleaned in the same way."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from fixedpoint_nn.data.sources import DataError

NAME_COLUMN, LANGUAGE_COLUMN = "01_prenom", "03_langage"


def cleaned(words: Iterable[str]) -> tuple[str, ...]:
    """The words in lower case, stripped, without duplicates, in order of first occurrence; accents stay.

    A word with other characters than letters and hyphens (blanks, digits) is dropped.
    """
    kept = (unicodedata.normalize("NFC", word).strip().lower() for word in words)
    return tuple(dict.fromkeys(word for word in kept if word.replace("-", "").isalpha()))


def read_lines(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The words of a UTF-8 file with one word per line, cleaned."""
    return cleaned(_decoded(Path(path), "utf-8").splitlines())


def read_tagged_names(path: str | os.PathLike[str], language: str | None = None) -> tuple[str, ...]:
    """The names of data.gouv.fr's Prenoms.csv, cleaned; only those tagged with `language`, if one is given.

    The file is ISO-8859-1 with semicolons, CRLF and trailing blanks. "french, greek (latinized)" are the tags
    french and greek. A name with two rows has the tags of both.
    """
    path = Path(path)
    rows = csv.DictReader(_decoded(path, "iso-8859-1").splitlines(), delimiter=";")
    missing = {NAME_COLUMN, LANGUAGE_COLUMN} - set(rows.fieldnames or ())
    if missing:
        raise DataError(
            f"{path} has no column {' or '.join(sorted(missing))}; "
            f"its columns are {_printable(', '.join(rows.fieldnames or ())) or 'none'}."
        )
    wanted, seen = [], set()
    try:
        for row in rows:
            languages = _tags(row[LANGUAGE_COLUMN] or "")
            seen |= languages
            if language is None or language in languages:
                wanted.append(row[NAME_COLUMN])
    except csv.Error as error:
        raise DataError(
            f"{path} is not a CSV file with semicolons (line {rows.line_num}: {error}); get it again."
        ) from error
    if language is not None and language not in seen:
        raise DataError(
            f"No name of {path} is tagged {language!r}; its languages are {', '.join(sorted(seen - {''}))}."
        )
    return cleaned(wanted)


def _tags(text: str) -> set[str]:
    return {re.sub(r"\s*\(.*?\)", "", tag).strip() for tag in text.lower().split(",")}


def _printable(text: str) -> str:
    """Text for a message: unprintable characters become "?", at most 200 characters."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= 200 else f"{shown[:200]}..."


def _decoded(path: Path, encoding: str) -> str:
    try:
        return path.read_bytes().decode(encoding)
    except MemoryError:
        raise DataError(f"{path} is larger than the memory; it is no list of words.") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not {encoding} text (byte {error.start} is {error.object[error.start]:#04x}); "
            f"convert it first."
        ) from error
