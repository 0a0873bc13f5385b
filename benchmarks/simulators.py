# SPDX-License-Identifier: MIT
"""Icarus Verilog and Verilator on a golden pack: cycles of the engine per second of one core, start-up included."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.timing import Comparison, Target
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.sim.build import compiled
from fixedpoint_nn.hardware.sim.run import Job, run_once

TITLE = "The engine simulated: golden pack names_lstm, 8 lanes, activations of 16 bits"
PACK = Path(__file__).resolve().parents[1] / "golden_vectors" / "names_lstm"
# Simulators, and how many vectors make a run of a second or two.
VECTORS = {"iverilog": 1, "verilator": 60}
TARGETS = (Target("verilator", "iverilog", 100),)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


CLOCKS = {"wall": time.perf_counter, "cpu": _children}


def run(rounds: int, clock: str) -> list[Comparison]:
    pack, now = load_pack(PACK), CLOCKS[clock]
    rates: dict[str, list[float]] = {name: [] for name in VECTORS}
    commands = {name: compiled(pack.config, name) for name in VECTORS}
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
        for _ in range(rounds):
            for name, vectors in VECTORS.items():
                chosen = np.arange(vectors) % len(pack.vectors)
                job = Job(pack.config, pack.mem_files(), pack.input, pack.output, name, pack.seed)
                start = now()
                outcome, text, status = run_once(
                    commands[name], job, Path(folder), pack.vectors[chosen], 0, False
                )
                seconds = now() - start
                assert status == 0 and f"PASS: {vectors} vectors" in text, text
                assert np.array_equal(outcome.ints(pack.config.activation_width), pack.expected[chosen])
                assert outcome.cycles == [pack.cycles[n] for n in chosen]
                rates[name].append(sum(outcome.cycles) / seconds)
    return [Comparison(TITLE, "cycles", rates, TARGETS)]
