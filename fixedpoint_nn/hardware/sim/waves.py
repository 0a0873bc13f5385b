# SPDX-License-Identifier: MIT
"""Waveforms of one vector, with a GTKWave save file of the most useful signals."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from fixedpoint_nn.files import scratch
from fixedpoint_nn.files.whole import whole, write_whole
from fixedpoint_nn.hardware.sim.build import compiled
from fixedpoint_nn.hardware.sim.run import Job, SimulationError, explain, run_once
from fixedpoint_nn.numerics.arrays import Ints

SIGNALS = {
    "control": ("clock", "start", "busy", "done", "cycles", "mac_cycles", "saturations", "argmax"),
    "host": ("host_write", "host_address", "host_write_data", "host_read_data"),
    "program": ("u_engine.program_address", "u_engine.program_word", "u_engine.offered", "u_engine.take"),
    "steps": ("u_engine.mac", "u_engine.nest_address", "u_engine.weight_address", "u_engine.complete_5"),
    "back end": ("u_engine.sum_valid", "u_engine.sums", "u_engine.word_valid", "u_engine.words"),
    "writes": ("u_engine.write", "u_engine.write_address", "u_engine.write_data"),
}
BINARY, HEXADECIMAL, COMMENT = "@28", "@22", "@200"  # GTKWave's line flags


def record(job: Job, inputs: Ints, path: Path) -> None:
    """Simulate one vector, and write `path` (a VCD) and a .gtkw file beside it."""
    command = compiled(job.config, job.simulator, waves=True, rtl=job.rtl)
    path = path.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _demand_writable(path)  # fail now, not after the simulation
        with scratch.folder() as folder:
            _, text, status = run_once(command, job, folder, inputs, 0, False, ["+vcd=waves.vcd"])
            scratch.demand_room(folder)
            made = folder / "waves.vcd"
            if status < 0 or not made.exists() or made.stat().st_size == 0:
                raise SimulationError(f"no waveforms were written: {explain(text, status, job.simulator)}")
            with whole(path) as beside:
                shutil.copyfile(made, beside)
            with made.open() as lines:
                write_whole(path.with_suffix(".gtkw"), os.fsencode(save_file(path, declared(lines))))
    except OSError as error:
        raise SimulationError(f"{path} cannot be written ({error.strerror}); choose another file") from None


def _demand_writable(path: Path) -> None:
    if path.exists() and not path.is_file():
        path.open("ab").close()
    else:
        tempfile.TemporaryFile(dir=path.parent).close()


def declared(vcd: Iterable[str]) -> dict[str, str]:
    """GTKWave's names of a VCD's signals, such as `TOP.engine_tb.cycles[31:0]`, by their names below the bench.

    Simulators differ in the hierarchy above the bench, and GTKWave needs a vector's name with its range.
    """
    scopes: list[str] = []
    names: dict[str, str] = {}
    for line in vcd:
        match line.split():
            case ["$scope", _, scope, *_]:
                scopes.append(scope)
            case ["$upscope", *_]:
                scopes.pop()
            case ["$var", _, _, _, name, *bits, "$end"] if "engine_tb" in scopes:
                below = scopes[scopes.index("engine_tb") + 1 :]
                names.setdefault(".".join([*below, name]), ".".join([*scopes, name + "".join(bits)]))
            case ["$enddefinitions", *_]:
                break
    return names


def save_file(path: Path, names: dict[str, str]) -> str:
    """The text of a GTKWave save file: titled groups of signals."""
    lines = [f'[dumpfile] "{path}"', "[timestart] 0"]
    for group, signals in SIGNALS.items():
        lines += [COMMENT, f"-{group}"]
        for name in (names[signal] for signal in signals if signal in names):
            lines += [HEXADECIMAL if name.endswith("]") else BINARY, name]
    return "\n".join(lines) + "\n"
