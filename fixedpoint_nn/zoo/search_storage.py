# SPDX-License-Identifier: MIT
"""Checks of the SQLite file in which a hyperparameter search keeps its trials."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


class SearchError(RuntimeError):
    """Raised for a file that is not the storage of a search, or is damaged."""


def demand_whole(path: Path) -> None:
    """Raise SearchError for a file in which SQLite finds damage; a missing file is fine."""
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
    """A context that turns any exception while reading trials into SearchError."""
    try:
        yield
    except SearchError:
        raise
    except Exception as error:  # of Optuna, SQLAlchemy, json or Python: rows can hold anything
        raise SearchError(
            f"{path} holds trials that cannot be read ({type(error).__name__}); delete it to search anew"
        ) from error


def _short(text: object) -> str:
    return " ".join(str(text).split())[:200]
