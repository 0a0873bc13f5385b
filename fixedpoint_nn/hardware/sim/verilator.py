# SPDX-License-Identifier: MIT
"""How Verilator is called, and the part of a simulator that is the same for every design.

Half of the time that a small simulator takes to compile goes to Verilator's own library. It is compiled once for a
version of Verilator, kept in the cache of simulators, and laid into the folder of the next build, where `make` finds
it done.
"""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fixedpoint_nn.hardware.sim import cache
from fixedpoint_nn.hardware.sim.toolchain import Tool

LIBRARY = "library.zip"
OBJECTS = "obj"  # the folder in which Verilator builds
# So many clocks take longer to simulate than it takes to compile for speed.
LONG = 40_000_000


# How the model is compiled. For speed takes a second more, and saves a fifth of the time that the simulation takes.
USUAL, FOR_SPEED, AT_ONCE = "-O1", "-O2", "-O0"


def options(speed: str = USUAL) -> tuple[str, ...]:
    """Verilator's options. The clock comes from the bench's .cpp, so that no delay has to be scheduled."""
    return (
        *("--cc", "--exe", "--build", "-O3", "+define+CLOCK_PORT", "-MAKEFLAGS", f"OPT_FAST={speed}"),
        *("-Wno-fatal", "-Wno-lint", "-Wno-style"),
    )


@contextmanager
def library(tool: Tool, work: Path, waves: bool = False) -> Iterator[None]:
    """Lay Verilator's library into the build folder of `work`; if it is compiled there, keep it for the next time."""
    content = repr(("library", tool.version, str(tool.path), waves))
    key = hashlib.sha256(content.encode()).hexdigest()[:32]
    found = cache.cached(key, LIBRARY)
    if found is not None:
        with zipfile.ZipFile(found) as archive:
            archive.extractall(work / OBJECTS)
        for compiled in (work / OBJECTS).iterdir():  # `make` compiles again what is older than its own file
            os.utime(compiled, (time.time() + 3600,) * 2)
    yield
    if found is None and (work / cache.PROGRAM).exists():
        with suppress(OSError, ValueError):  # the simulator is there all the same
            _keep(key, work / OBJECTS)


def _keep(key: str, objects: Path) -> None:
    with cache.new_folder() as folder:
        with zipfile.ZipFile(folder / LIBRARY, "w") as archive:
            for compiled in sorted(objects.glob("verilated*.o")):
                archive.write(compiled, compiled.name)
        cache.keep(key, folder, LIBRARY)
