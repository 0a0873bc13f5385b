# SPDX-License-Identifier: MIT
"""Results on disk: one SQLite row per computed point, written as it ends and found again by its content."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pooch

from fixedpoint_nn.files.scratch import unless_weak

VARIABLE = "FIXEDPOINT_NN_RESULTS"
TABLE = """
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY,
    result TEXT NOT NULL,
    ended TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)
"""
BROKEN = (sqlite3.Error, UnicodeDecodeError)  # the message of an error may quote a damaged name
PATIENCE = 60.0  # seconds to wait while another process writes


class StoreError(RuntimeError):
    """A file that is not a store of results, or cannot be written; the message is one sentence."""


def usual_path() -> Path:
    """FIXEDPOINT_NN_RESULTS, or results.sqlite in the user's cache."""
    return Path(os.environ.get(VARIABLE) or Path(pooch.os_cache("fixedpoint_nn")) / "results.sqlite")


def default_path() -> Path:
    """The usual path; in a cache that others can change, one that goes with this process."""
    usual = usual_path()
    return usual if os.environ.get(VARIABLE) else unless_weak(usual.parent, "results", VARIABLE) / usual.name


class Store:
    """Results by key. Every `put` is one transaction: after a kill at any instant, what had ended is there.

    Several processes may use one file. ":memory:" forgets everything at the end.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = str(default_path() if path is None else path)
        if self.path != ":memory:":
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = sqlite3.connect(self.path, timeout=PATIENCE)
            self._connection.execute("PRAGMA synchronous = FULL")
            with self._connection:
                self._connection.execute(TABLE)
        except BROKEN as error:
            raise StoreError(
                f"{self.path} cannot be used as a store of results ({error}); name another file"
            ) from error

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def __len__(self) -> int:
        return int(self._row("SELECT count(*) FROM results")[0])

    def _row(self, query: str, *values: str) -> Any:
        try:
            return self._connection.execute(query, values).fetchone()
        except BROKEN as error:
            raise StoreError(
                f"{self.path} is damaged ({error}); delete the file to compute its results again"
            ) from error

    def get(self, key: str) -> dict[str, Any] | None:
        """The result with this key; None if it was never computed."""
        row = self._row("SELECT result FROM results WHERE key = ?", key)
        if row is None:
            return None
        try:
            found = json.loads(row[0])
        except (ValueError, TypeError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise StoreError(
                f"the result {key[:12]} in {self.path} is damaged; delete the file to compute it again"
            )
        return found

    def put(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep a result; the first one with a key stays."""
        text = json.dumps(dict(result), allow_nan=False)
        try:
            with self._connection:
                self._connection.execute(
                    "INSERT OR IGNORE INTO results (key, result) VALUES (?, ?)", (key, text)
                )
        except BROKEN as error:
            raise StoreError(
                f"a result cannot be written to {self.path} ({error}); make room there, or name another file"
            ) from error
