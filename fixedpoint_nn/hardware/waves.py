# SPDX-License-Identifier: MIT
"""Waveforms of one vector, with a GTKWave save file that shows the signals worth seeing first."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.simulate import Job, SimulationError, attempt, compiled, explain

Ints = NDArray[np.int64]
SIGNALS = {
    "control": ("clock", "start", "busy", "done", "cycles", "mac_cycles", "saturations", "argmax"),
    "host": ("host_write", "host_address", "host_write_data", "host_read_data"),
    "writes": ("engine.write", "engine.write_address", "engine.write_data"),
}


def record(job: Job, inputs: Ints, path: Path) -> None:
    """Write `path` (a VCD) and the .gtkw file beside it."""
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    command = compiled(job.config, job.simulator, waves=True)
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as name:
        _, text, status = attempt(command, job, Path(name), inputs, 0, False, [f"+vcd={path}"])
    if not path.exists():
        raise SimulationError(f"no waveforms were written: {explain(text, status, job.simulator)}")
    path.with_suffix(".gtkw").write_text(save_file(path))


def save_file(path: Path) -> str:
    """What GTKWave opens: groups of signals under their names."""
    lines = [f'[dumpfile] "{path}"', "[timestart] 0"]
    for group, signals in SIGNALS.items():
        lines += ["@200", f"-{group}"]
        lines += [line for signal in signals for line in ("@22", f"engine_tb.{signal}")]
    return "\n".join(lines) + "\n"
