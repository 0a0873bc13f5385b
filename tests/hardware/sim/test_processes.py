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
from fixedpoint_nn.hardware.sim.processes import Processes, conversation
from tests.support.running import by_proc, start, wait_for, wait_for_the_end, wait_until


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
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_none_runs(processes: list[int]) -> None:
    """A killed process closes its files, which ends the call, a moment before the system counts it as ended."""
    wait_for(lambda: not any(map(is_running, processes)), f"one of {processes} goes on")


def numbers_in(path: Path, lines: int) -> list[int]:
    for _ in range(1000):
        if path.exists() and len(found := path.read_text().split()) >= lines:
            return [int(line) for line in found]
        time.sleep(0.02)
    raise AssertionError(f"{path} did not get {lines} lines")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes by /proc")
def test_an_interrupted_call_ends_its_simulators_at_once(endless, tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "compiled", lambda *_, **__: [str(endless)])
    port = Port((2,), Q(4, 4), 0, 2, 2)
    job = simulation.Job(EngineConfig(), {}, port, port)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in the background

    def interrupt() -> None:
        numbers_in(tmp_path / "running", 1)
        os.kill(os.getpid(), signal.SIGINT)

    Timer(0, interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            simulation.simulate(job, np.zeros((2, 2), np.int64))
    finally:
        signal.signal(signal.SIGINT, before)
    wait_until_none_runs(numbers_in(tmp_path / "running", 1))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes by /proc")
def test_a_command_that_is_ended_by_kill_ends_its_simulators(endless, tmp_path):
    code = (
        "import sys; from fixedpoint_nn.hardware.sim import run as simulation\n"
        "from fixedpoint_nn.cli import main\n"
        f"simulation.compiled = lambda *_, **__: [{str(endless)!r}]\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code, "verify", str(root / "golden_vectors" / "moons")]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = numbers_in(tmp_path / "running", 1)
    process.terminate()
    assert process.wait(30) == 143
    wait_until_none_runs(started)


@by_proc
def test_simulators_end_with_a_command_that_is_killed_and_can_end_nothing(endless, tmp_path):
    code = (
        "import sys; from fixedpoint_nn.hardware.sim import run as simulation\n"
        "from fixedpoint_nn.cli import main\n"
        f"simulation.compiled = lambda *_, **__: [{str(endless)!r}]\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    root = Path(__file__).parents[3]
    process, mark = start([sys.executable, "-c", code, "verify", root / "golden_vectors" / "moons"])
    started = numbers_in(tmp_path / "running", 2)
    assert all(map(is_running, started))
    process.kill()
    wait_for_the_end(mark)
    wait_until_none_runs(started)
    process.communicate()


@by_proc
def test_a_program_that_takes_too_long_is_ended_with_its_children(tmp_path):
    family = f"echo $$ >{tmp_path}/running; sleep 1000 & echo $! >>{tmp_path}/running; wait"
    with pytest.raises(subprocess.TimeoutExpired):
        Processes().execute(["sh", "-c", family], timeout=1)
    wait_until_none_runs(numbers_in(tmp_path / "running", 2))


@by_proc
@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_compilation_ends_the_compiler_with_its_children(end, tmp_path):
    family = f"echo $$ >{tmp_path}/running; sleep 1000 & echo $! >>{tmp_path}/running; wait"

    def ended(*_: object) -> None:
        raise end

    before = signal.signal(signal.SIGUSR1, ended)

    def interrupt() -> None:
        numbers_in(tmp_path / "running", 2)
        os.kill(os.getpid(), signal.SIGUSR1)

    Timer(0, interrupt).start()
    try:
        with pytest.raises(end):
            Processes().execute(["sh", "-c", family])
    finally:
        signal.signal(signal.SIGUSR1, before)
    wait_until_none_runs(numbers_in(tmp_path / "running", 2))


def test_a_program_that_is_not_there_or_is_none_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        Processes().execute([str(tmp_path / "none")])
    assert caught.value.filename == str(tmp_path / "none")
    (tmp_path / "file").touch(mode=0o644)
    with pytest.raises(PermissionError):
        Processes().execute([str(tmp_path / "file")])


def test_a_program_gets_its_arguments_its_folder_and_no_input(tmp_path):
    code = "import os, sys; print(sys.argv[1:], os.getcwd(), repr(sys.stdin.read()))"
    odd = ["a b", "$HOME", "'", '"', ";", "line\nbreak", "", "-n", "\\"]
    assert Processes().execute([sys.executable, "-c", code, *odd], tmp_path) == (
        f"{odd} {tmp_path} ''\n",
        0,
    )


def test_a_program_that_is_talked_to_answers_and_ends_with_the_block(tmp_path):
    code = "import os, sys\nwhile line := sys.stdin.readline(): print(os.getcwd(), line.upper(), end='', flush=True)"
    with conversation([sys.executable, "-c", code], tmp_path) as process:
        for word in (b"one\n", b"two\n"):
            process.stdin.write(word)
            assert process.stdout.readline() == os.fsencode(tmp_path) + b" " + word.upper()
    assert process.returncode == -signal.SIGKILL
    with conversation(["cat"]) as process:
        process.stdin.close()  # and it hears it
        assert process.stdout.read() == b""


@by_proc
def test_a_program_that_is_talked_to_ends_with_a_killed_process():
    code = (
        "from fixedpoint_nn.hardware.sim.processes import conversation\nimport time\n"
        "with conversation(['sh', '-c', 'sleep 1000 & cat']): time.sleep(1000)"
    )
    process, mark = start([sys.executable, "-c", code])
    wait_until(mark, "sleep", "cat")
    process.kill()
    wait_for_the_end(mark)
    process.communicate()
