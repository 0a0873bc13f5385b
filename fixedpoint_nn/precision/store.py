# SPDX-License-Identifier: MIT
"""The store of results: one SQLite row per computed point, keyed by content."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pooch

from fixedpoint_nn.files.closing import Closing
from fixedpoint_nn.files.scratch import unless_weak
from fixedpoint_nn.network.json_shapes import JsonAny, JsonMap, JsonShape, ShapeError, demand, parsed

VARIABLE = "FIXEDPOINT_NN_RESULTS"
TABLE = """
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY,
    result TEXT NOT NULL,
    ended TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)
"""
BROKEN = (sqlite3.Error, UnicodeDecodeError, MemoryError)  # the message may quote a damaged name
PATIENCE = 60.0  # seconds to wait while another process writes


class StoreError(RuntimeError):
    """Raised for a file that is not a store of results, or cannot be written."""


def usual_path() -> Path:
    """The path in FIXEDPOINT_NN_RESULTS, or results.sqlite in the user's cache."""
    return Path(os.environ.get(VARIABLE) or Path(pooch.os_cache("fixedpoint_nn")) / "results.sqlite")


def default_path() -> Path:
    """The usual path, or one in a folder of this process if others can write to the cache folder."""
    usual = usual_path()
    return usual if os.environ.get(VARIABLE) else unless_weak(usual.parent, "results", VARIABLE) / usual.name


ANYTHING = JsonMap(JsonAny())


class ResultStore(Closing):
    """Results by key in an SQLite file. Every `put` is one transaction, so a kill loses no completed result.

    Several processes can use one file. ":memory:" keeps nothing after the process.
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
                f"{self.path} cannot be used as a store of results ({_said(error)}); name another file"
            ) from error

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __len__(self) -> int:
        return int(self._row("SELECT count(*) FROM results")[0])

    def _row(self, query: str, *values: str) -> Any:
        try:
            return self._connection.execute(query, values).fetchone()
        except BROKEN as error:
            raise StoreError(
                f"{self.path} is damaged ({_said(error)}); delete the file to compute its results again"
            ) from error

    def get(self, key: str, shape: JsonShape = ANYTHING) -> dict[str, Any] | None:
        """The result of this key, None if there is none; raises StoreError unless it has the given JSON shape."""
        row = self._row("SELECT result FROM results WHERE key = ?", key)
        if row is None:
            return None
        try:
            if not isinstance(row[0], str):
                raise ShapeError("it is no text")
            checksum, _, text = row[0].partition(" ")
            if row[0].startswith("{"):  # rows written by 0.1.0 have no checksum
                text = row[0]
            elif checksum != _checksum(key, text):
                raise ShapeError("its checksum does not match")
            found = parsed(text)
            demand(found, ANYTHING)
            demand(found, shape)
        except ShapeError as error:
            raise StoreError(
                f"the result {key[:12]} in {self.path} is damaged ({error}); "
                "delete the file to compute its results again"
            ) from None
        return dict(found)

    def put(self, key: str, result: Mapping[str, Any]) -> None:
        """Store a result; an existing result of the same key stays."""
        plain = json.dumps(dict(result), allow_nan=False)
        text = f"{_checksum(key, plain)} {plain}"
        try:
            with self._connection:
                self._connection.execute(
                    "INSERT OR IGNORE INTO results (key, result) VALUES (?, ?)", (key, text)
                )
        except BROKEN as error:
            raise StoreError(
                f"a result cannot be written to {self.path} ({_said(error)}); make room there, or name another file"
            ) from error


def _said(error: Exception) -> str:
    """The message of an SQLite error on one line; it may quote names of a damaged file."""
    if isinstance(error, MemoryError):
        return "it asks for more than the memory"
    return (
        "a name in it is no text"
        if isinstance(error, UnicodeDecodeError)
        else " ".join(str(error).split())[:200]
    )


def _checksum(key: str, text: str) -> str:
    """The SHA-256 of key and result, which detects any changed bit."""
    return hashlib.sha256(f"{key}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()
