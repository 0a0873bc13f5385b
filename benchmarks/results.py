# SPDX-License-Identifier: MIT
"""The figures of the last run as JSON, each part with its machine, date and versions."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.timing import Comparison
from fixedpoint_nn.network.serialization import write_whole

RESULTS = Path(__file__).with_name("results.json")
PACKAGES = ("numpy", "torch", "apytypes", "fxpmath")


def processor() -> str:
    """The processor's name, as Linux tells it, else as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def circumstances(clock: str) -> dict[str, Any]:
    """Where and when: what a reader needs to know of a figure."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "clock": clock,
        "versions": versions,
    }


def read(path: Path) -> dict[str, Any]:
    """Part by part; nothing where there is no file yet."""
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def write_part(path: Path, name: str, clock: str, comparisons: Sequence[Comparison]) -> None:
    """Put the figures of one part into the file; the other parts stay."""
    parts = read(path)
    parts[name] = {**circumstances(clock), "comparisons": [comparison.record() for comparison in comparisons]}
    write_whole(path, (json.dumps(parts, indent=1) + "\n").encode())
