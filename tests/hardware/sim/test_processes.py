# SPDX-License-Identifier: MIT
"""Simulators end with the call that started them: when it is interrupted, and when its process is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread, Timer

import numpy as np
import pytest

from fixedpoint_nn import Q
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.sim import run as simulation
from fixedpoint_nn.hardware.sim.processes import Processes


def test_a_program_gives_all_that_it_printed_and_its_status():
    code = "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr); sys.exit(3)"
    assert Processes().execute([sys.executable, "-c", code]) == ("out\nerr\n", 3)


def test_stop_ends_what_runs_and_lets_nothing_start():
    processes, ended = Processes(), []
    thread = Thread(target=lambda: ended.append(processes.execute(["sleep", "1000"])))
    thread.start()
    while not processes._running:
        time.sleep(0.01)
    processes.stop()
    thread.join()
    assert ended == [("", -signal.SIGKILL)]
    assert processes.execute(["true"]) == ("stopped before it began", -1)


@pytest.fixture
def endless(tmp_path):
    """A simulator that says who it is and never ends."""
    program = tmp_path / "endless"
    program.write_text(f"#!/bin/sh\necho $$ >>{tmp_path}/running\nexec sleep 1000\n")
    program.chmod(0o755)
    return program


def is_running(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().split()[2] != "Z"


def wait_for(path: Path, lines: int) -> list[int]:
    for _ in range(1000):
        if path.exists() and len(found := path.read_text().split()) >= lines:
            return [int(line) for line in found]
        time.sleep(0.02)
    raise AssertionError(f"{path} did not get {lines} lines")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes by /proc")
def test_an_interrupted_call_ends_its_simulators_at_once(endless, tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "compiled", lambda *_: [str(endless)])
    port = Port((2,), Q(4, 4), 0, 2, 2)
    job = simulation.Job(EngineConfig(), {}, port, port)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in the background

    def interrupt() -> None:
        wait_for(tmp_path / "running", 1)
        os.kill(os.getpid(), signal.SIGINT)

    Timer(0, interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            simulation.simulate(job, np.zeros((2, 2), np.int64))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not any(map(is_running, wait_for(tmp_path / "running", 1)))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes by /proc")
def test_a_command_that_is_ended_by_kill_ends_its_simulators(endless, tmp_path):
    code = (
        "import sys; from fixedpoint_nn.hardware.sim import run as simulation\n"
        "from fixedpoint_nn.cli import main\n"
        f"simulation.compiled = lambda *_: [{str(endless)!r}]\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code, "verify", str(root / "golden_vectors" / "moons")]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = wait_for(tmp_path / "running", 1)
    process.terminate()
    assert process.wait(30) == 143
    assert not any(map(is_running, started))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux's kernel")
def test_simulators_end_with_a_command_that_is_killed_and_can_end_nothing(endless, tmp_path):
    code = (
        "import sys; from fixedpoint_nn.hardware.sim import run as simulation\n"
        "from fixedpoint_nn.cli import main\n"
        f"simulation.compiled = lambda *_: [{str(endless)!r}]\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code, "verify", str(root / "golden_vectors" / "moons")]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = wait_for(tmp_path / "running", 2)
    assert all(map(is_running, started))
    process.kill()
    process.wait(30)
    for _ in range(200):
        if not any(map(is_running, started)):
            return
        time.sleep(0.02)
    raise AssertionError(f"{started} go on without the command that started them")
