# SPDX-License-Identifier: MIT
"""The file in which a hyperparameter search keeps its trials: whole, or refused in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


class SearchError(RuntimeError):
    """A file that is no storage of a search, or a damaged one; the message is one sentence."""


def demand_whole(path: Path) -> None:
    """Raise for a file in which SQLite itself finds damage; one that is not there yet is whole."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            said = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except UnicodeDecodeError:
        said = "a name in it is no text"
    except MemoryError:
        said = "it asks for more than the memory"
    except (sqlite3.Error, TypeError) as error:
        said = _short(error)
    if said != "ok":
        raise SearchError(
            f"{path} cannot be used as the storage of a search ({_short(said)}); delete it to search anew"
        )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Whatever goes wrong while the trials of a file are read is damage of the file."""
    try:
        yield
    except SearchError:
        raise
    except Exception as error:  # those of Optuna, SQLAlchemy, json and Python: rows can hold anything
        raise SearchError(
            f"{path} holds trials that cannot be read ({type(error).__name__}); delete it to search anew"
        ) from error


def _short(text: object) -> str:
    return " ".join(str(text).split())[:200]
