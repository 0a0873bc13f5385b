# SPDX-License-Identifier: MIT
"""What `doctor` reports: versions, processor and kernels, tools, caches, folders. Nothing is created or changed."""

from __future__ import annotations

import os
import platform
import re
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

import fixedpoint_nn
from fixedpoint_nn.data import sources
from fixedpoint_nn.files import scratch
from fixedpoint_nn.files.trust import weakness
from fixedpoint_nn.hardware.sim import cache
from fixedpoint_nn.hardware.sim.toolchain import ToolError, find_tool
from fixedpoint_nn.numerics.native import library
from fixedpoint_nn.precision import store

Findings = dict[str, Any]
TOOLS = {  # whether the main job needs it, and its name
    "iverilog": (True, "Icarus Verilog"),
    "vvp": (True, "Icarus's vvp"),
    "verilator": (False, "Verilator"),
    "yosys": (False, "Yosys"),
    "nextpnr-ecp5": (False, "nextpnr-ecp5"),
}


def findings() -> Findings:
    """All findings."""
    return {
        "fixedpoint_nn": fixedpoint_nn.__version__,
        "place": str(Path(fixedpoint_nn.__file__).parent),
        "python": {"version": platform.python_version(), "path": sys.executable},
        "numpy": np.__version__,
        "system": platform.platform(),
        "processor": {
            "name": processor(),
            "cores": os.cpu_count() or 1,
            "usable_cores": _usable_cores(),
        },
        "kernels": kernels(),
        "blas": blas(),
        "tools": {name: tool(name) for name in TOOLS},
        "caches": {"simulators": simulators(), "downloads": downloads(), "results": results()},
        "data": data(),
        "temporary": temporary(),
    }


def processor() -> str:
    """The processor's model name, if the system tells it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _usable_cores() -> int:
    """The number of cores that this process may use."""
    ask: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(ask(0)) if ask else os.cpu_count() or 1


def kernels() -> Findings:
    """The kernels in use for exact products, and why."""
    try:
        choice = library.chosen()
    except library.KernelError as error:
        return {"name": "none", "reason": str(error)}
    return {"name": choice.kernels.name if choice.kernels else "NumPy", "reason": choice.reason}


def blas() -> list[Findings]:
    """NumPy's BLAS libraries, and the number of threads of each."""
    return [
        {"library": entry["internal_api"], "version": entry["version"] or "", "threads": entry["num_threads"]}
        for entry in threadpool_info()
        if entry["user_api"] == "blas"
    ]


def tool(name: str) -> Findings:
    """The version and path of a tool, or how to install it."""
    needed, title = TOOLS[name]
    about: Findings = {"title": title, "needed": needed, "version": None, "path": None, "missing": None}
    try:
        found = find_tool(name)
    except (ToolError, scratch.PlaceError) as error:
        return about | {"missing": str(error)}
    return about | {"version": found.version, "path": str(found.path)}


def simulators() -> Findings:
    """The cache of compiled simulators."""
    try:
        place, limit = cache.usual_folder() / "simulators", cache.limit_in_bytes()
    except (RuntimeError, ValueError) as error:
        return {"place": None, "fault": str(error), "files": 0, "bytes": 0, "limit": None}
    return _measured(place, place) | {"limit": limit}


def downloads() -> Findings:
    """The cache of data sets; their checksums are verified, so that other users' write access does no harm."""
    place = sources.cache_folder()
    others = {store.usual_path(), place / "simulators"}
    return _measured(place, None, lambda path: not others & {path, *path.parents})


def results() -> Findings:
    """The store of results of sweeps."""
    place = store.usual_path()
    given = os.environ.get(store.VARIABLE)
    return _measured(place, None if given else place.parent)


def data() -> Findings:
    """The folder in FIXEDPOINT_NN_DATA, where data sets are looked for first."""
    given = os.environ.get(sources.VARIABLE)
    fault = f"{sources.VARIABLE} names no folder" if given and not Path(given).is_dir() else None
    return {"place": given or None, "fault": fault}


def temporary() -> Findings:
    """The folder of temporary files."""
    try:
        return {"place": str(scratch.place()), "fault": None}
    except scratch.PlaceError as error:
        return {"place": None, "fault": str(error)}


def _measured(
    place: Path, private: Path | None, counted: Callable[[Path], bool] = lambda path: True
) -> Findings:
    """Files and bytes of a file or folder; and why it is not used, if others can write to it."""
    sizes = []
    for path in (place, *(Path(folder, name) for folder, _, names in os.walk(place) for name in names)):
        with suppress(OSError):  # it was removed meanwhile
            about = path.lstat()
            if stat.S_ISREG(about.st_mode) and counted(path):
                sizes.append(about.st_size)
    fault = _weakness(private) if private is not None else ""
    return {"place": str(place), "fault": fault or None, "files": len(sizes), "bytes": sum(sizes)}


def _weakness(folder: Path) -> str:
    """The weakness of a folder, or of its nearest existing parent."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return weakness(there, shared=there != folder)
