# SPDX-License-Identifier: MIT
"""Records of runs: a small JSON file beside a command's output, from which the report is made."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.network.json_shapes import ShapeError, demand, parsed
from fixedpoint_nn.report.shapes import RECORD, RESULTS

PREFIX = "run-"
DEEPEST = 3  # levels of folders below the reported one
LARGEST = 1 << 26  # bytes; a sweep of a thousand points takes a hundredth of it


class RecordError(ValueError):
    """Raised for a file that is not the record of a run, or is damaged."""


@dataclass(frozen=True)
class Record:
    """One run of a command: command line, time, machine and results."""

    command: str
    line: str
    started: str
    seconds: float
    results: Mapping[str, Any]
    machine: Mapping[str, str] = field(default_factory=dict)
    folder: Path = field(default=Path(), compare=False)

    def save(self) -> Path:
        """Write `run-COMMAND.json`, replacing an earlier run of the same command; returns its path."""
        content = {name: value for name, value in asdict(self).items() if name != "folder"}
        content = json.loads(json.dumps(content, default=_plain))
        content["sha256"] = _checksum(content)
        path = self.folder / f"{PREFIX}{self.command}.json"
        write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        return path

    @classmethod
    def load(cls, path: Path) -> Record:
        """The record in a file; one without a checksum, as written by 0.1.0, is accepted. Raises RecordError."""
        try:
            if path.stat().st_size > LARGEST:
                raise ShapeError(f"it is larger than {LARGEST} bytes")
            content = parsed(path.read_bytes(), constants=True)
            demand(content, RECORD)
            if content.get("sha256") not in (None, _checksum(content)):
                raise ShapeError("its checksum does not match")
        except ShapeError as error:
            raise RecordError(
                f"{path} is not the record of a run ({error}); delete it and run the command again"
            ) from None
        return cls(**{name: content[name] for name in RECORD.required}, folder=path.parent)

    def demand_complete(self) -> None:
        """Raise RecordError unless the results have what the report needs for this command."""
        try:
            demand(self.results, RESULTS[self.command], "results")
        except ShapeError as error:
            raise RecordError(
                f"{self.folder / f'{PREFIX}{self.command}.json'} lacks what the report needs ({error}); "
                f"run the command again: {self.line[:400]}"
            ) from None


class Stopwatch:
    """Times a command, and makes its record."""

    def __init__(self, command: str, arguments: Sequence[object]) -> None:
        self.command = command
        self.line = shlex.join(["fixedpoint-nn", command, *map(str, arguments)])
        self.started = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
        self._start = time.perf_counter()

    def record(self, folder: Path, results: Mapping[str, Any]) -> Record:
        """The record of the command, with the time since the start."""
        seconds = round(time.perf_counter() - self._start, 2)
        return Record(self.command, self.line, self.started, seconds, results, this_machine(), folder)


def records_below(folder: Path) -> list[Record]:
    """All records in a folder and a few levels below it, oldest first; of copies only the highest."""
    found: list[Record] = []
    for path in sorted(_files(folder, DEEPEST), key=lambda path: len(path.parts)):
        record = Record.load(path)
        if record not in found:
            found.append(record)
    return sorted(found, key=lambda record: record.started)


def _files(folder: Path, levels: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(PREFIX) and path.suffix == ".json":
            yield path
        elif path.is_dir() and not path.is_symlink() and levels:
            yield from _files(path, levels - 1)


def this_machine() -> dict[str, str]:
    """The machine: system, cores and versions."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count() or 1),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _checksum(content: Mapping[str, Any]) -> str:
    """The SHA-256 of the content without its checksum."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """NumPy numbers, arrays, paths and other values as JSON values."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
