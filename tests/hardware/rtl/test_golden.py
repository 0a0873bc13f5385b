# SPDX-License-Identifier: MIT
"""The committed packs: small, whole, and what the code of today emits."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.pack.writer import STATUS
from fixedpoint_nn.hardware.sim.build import compiled
from fixedpoint_nn.hardware.sim.run import Job, simulate
from fixedpoint_nn.hardware.verify.verify import _compare_status, verify
from tests.proof.conformance import programs
from tests.proof.conformance.__main__ import HERE, PACKS, write
from tests.proof.judges import HARSH, golden_pack, judge

PROGRAMS = programs.COMMITTED
QUICK_TO_SEARCH = (
    "moons",
    "bigram",
    "names_writer",
    "fashion_mlp",
    "conformance_saturating",
    "conformance_wrapping",
)
QUICK_TO_SIMULATE = ("moons", "bigram", "nplm", *PROGRAMS)
MOST = 2.5e6
QUICK_TO_COMPILE = ("conformance", "conformance_wrapping", "conformance_groups")


def packs(names: set[str]) -> list[Any]:
    """The packs' names; the slow suite compiles most of their engines."""
    slow = [pytest.mark.slow]
    return [pytest.param(name, marks=slow * (name not in QUICK_TO_COMPILE)) for name in sorted(names)]


def content(folder: Path) -> dict[str, bytes]:
    """The pack's files; `fixedpoint-nn verify` leaves its record beside them, which git ignores."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.match("run-*.json"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def same(name: str, tmp_path: Path) -> None:
    assert (HERE / name / "manifest.json").exists(), f"run `make golden` to write {name}"
    again = write(name, tmp_path / name, HERE / name, lambda line: None)
    assert content(again) == content(HERE / name)


@pytest.mark.parametrize("name", PACKS)
def test_a_golden_pack_is_small(name):
    assert 0 < sum(map(len, content(HERE / name).values())) <= MOST


@pytest.mark.parametrize("name", QUICK_TO_SEARCH)
def test_a_golden_pack_is_emitted_identically(name, tmp_path):
    same(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(PACKS) - set(QUICK_TO_SEARCH)))
def test_a_golden_pack_of_a_long_search_is_emitted_identically(name, tmp_path):
    same(name, tmp_path)


@pytest.mark.parametrize("name", QUICK_TO_SIMULATE)
def test_a_golden_pack_passes_in_icarus_with_every_write_traced(name):
    verdict = verify(HERE / name, trace=True, vectors=20)
    assert verdict.passed, verdict.text


@pytest.mark.parametrize("name", ["moons", "bigram", "nplm", "fashion_mlp"])
def test_every_corner_of_a_small_pack_is_met_or_proven_out_of_reach(name):
    corners = json.loads((HERE / name / "manifest.json").read_text())["corners"]
    assert not [(layer, corner) for layer, met in corners.items() for corner, hits in met.items() if not hits]


@pytest.mark.slow
@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
@pytest.mark.parametrize("name", PACKS)
def test_every_golden_pack_passes(name, simulator):
    verdict = verify(HERE / name, simulator)
    assert verdict.passed, verdict.text


@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
@pytest.mark.parametrize("how", [(), ("+load=port",), ("+disturb=1",), ("+interrupt=40",), HARSH])
def test_a_conformance_pack_passes_by_the_ports_disturbed_and_after_resets(how, simulator, tmp_path):
    passes(load_pack(HERE / "conformance_saturating"), how, simulator, tmp_path)


@pytest.mark.parametrize("name", packs(set(programs.PACKS) - {"conformance_saturating"}))
def test_the_other_conformance_packs_pass_in_the_harsh_mode_too(name, tmp_path):
    passes(golden_pack(name), HARSH, "verilator", tmp_path)


@pytest.mark.parametrize("name", packs(set(programs.PACKS) - set(programs.COMMITTED)))
def test_a_conformance_pack_that_is_not_committed_passes_in_icarus_too(name):
    verdict = verify(golden_pack(name).directory, trace=True, vectors=20)
    assert verdict.passed, verdict.text


def passes(pack, how, simulator, tmp_path):
    asked = judge(pack, pack.config, tmp_path, 60)
    done = subprocess.run(
        [*compiled(pack.config, simulator), *asked.arguments, *how], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PASS: 60 vectors, {60 * pack.output.words} words, {sum(pack.cycles[:60])} cycles" in done.stdout


@pytest.mark.parametrize("clocks", range(2, 13))
def test_a_reset_of_one_clock_ends_a_run_wherever_it_is(clocks, tmp_path):
    pack = load_pack(HERE / "moons")  # 142 cycles; vector v is cut off after clocks + 11 * v
    asked = judge(pack, pack.config, tmp_path, 13)
    done = subprocess.run(
        [*compiled(pack.config, "verilator"), *asked.arguments, f"+interrupt={clocks}"],
        capture_output=True,
        text=True,
    )
    assert f"PASS: 13 vectors, 13 words, {sum(pack.cycles[:13])} cycles" in done.stdout


@pytest.mark.parametrize("register", range(len(STATUS)))
def test_a_wrong_status_register_is_named(register, tmp_path):
    pack = load_pack(HERE / "conformance_wrapping")
    status = pack.status.copy()
    status[2, register] += 1
    wrong = replace(pack, status=status)
    asked = judge(wrong, wrong.config, tmp_path, 3)
    done = subprocess.run(
        [*compiled(pack.config, "iverilog"), *asked.arguments], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "FAIL: vector 2 " in done.stdout + done.stderr
    cycles = int(status[2, STATUS.index("cycles")])
    assert _compare_status(wrong, 2, simulated(pack, 3), cycles).startswith(
        f"FAIL: vector 2, status register {STATUS[register]}: expected {status[2, register]}, got "
    )


def simulated(pack, vectors):
    job = Job(pack.config, pack.mem_files(), pack.input, pack.output, "iverilog", pack.seed)
    return simulate(job, pack.vectors[:vectors])
