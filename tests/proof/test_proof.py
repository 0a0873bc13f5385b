# SPDX-License-Identifier: MIT
"""A small sample of every part of `python -m tests.proof`, so that none of them stops working unnoticed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from fixedpoint_nn import QFormat, Quantizer
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.sim.toolchain import rtl_folder
from fixedpoint_nn.precision.plan import PlanError
from tests.proof import (
    claims,
    coverage,
    equivalence,
    exhaustive,
    faults,
    files,
    formal,
    machine,
    model,
    mutants,
    mutation,
    reasons,
    targets,
)
from tests.proof.conformance import programs
from tests.proof.judges import GOLDEN
from tests.proof.yosys import SCRATCH, run_yosys
from tests.support.damaged_kinds import Kind
from tests.support.damaged_survey import outcome


def test_flipped_bits_of_moons_are_caught_by_the_checksum_and_by_reading_back():
    result = files.run(files.Plan("moons", 20, 10), workers=2)
    assert result.by_checksum == result.flips == 60
    assert result.read == 40
    assert result.program == 10
    assert result.missed == ()
    assert result.holds


def test_a_flip_that_the_readback_misses_breaks_the_claim(monkeypatch):
    blind = files.readback_program

    def without_parameters(config, images):
        whole = blind(config, images)
        return replace(whole, sections=tuple(s for s in whole.sections if s.memory != "parameters"))

    monkeypatch.setattr(files, "readback_program", without_parameters)
    result = files.run(files.Plan("moons", 20, 0), workers=2)
    assert len(result.missed) == 20
    assert {flip.kind for flip in result.missed} == {"parameters"}
    assert not result.holds


def test_one_changed_expected_word_is_named_exactly(tmp_path):
    sentence = files.changed_expectation("moons", 7, 0, tmp_path)
    assert sentence.startswith("FAIL: vector 7, output element 0: expected ")
    assert "so the images or the expected words are wrong" in sentence


# A few quick questions; `python -m tests.proof formal` asks all of them, about the requantiser at three larger sizes.
QUICK_CLAIMS = [
    *claims.requantizer((16, 8, 6)),
    claims.loop_nest(2, 8)[2],
    claims.control("store_from_nothing"),
    claims.back_end("parameter_wrong")[1],
    claims.axi("stream_changes"),
    claims.axi("write_unanswered"),
]
QUICK_MISTAKES = [
    "the bias is forgotten",
    "the leak is forgotten",
    "ties are not sent to even",
    "the lowest word is no misfit",
    "a register's enable is a clock late",
    "the image is a column wider",
    "a run that writes goes on writing",
    "parameters do not start again with a tile",
    "an abort takes a beat back",
    "an address alone is a write",
]


@pytest.mark.parametrize("claim", QUICK_CLAIMS, ids=lambda claim: f"{claim.what}, {claim.form}")
def test_a_claim_about_the_verilog_is_proven(claim):
    assert formal.prove(claim).holds


@pytest.mark.parametrize("mistake", QUICK_MISTAKES)
def test_a_mistake_in_the_verilog_is_refuted(mistake):
    (control,) = [control for control in claims.controls() if control.what == mistake]
    assert not formal.refute(control).holds


def test_every_mistake_changes_a_text_that_is_there_once():
    for control in claims.controls():
        assert control.changed()[control.source] != (rtl_folder() / control.source).read_text()


def test_a_mistake_in_a_text_that_is_gone_is_refused():
    control = claims.Control("x", claims.requantizer((16, 8, 6))[0], "requantize.v", "no such text", "")
    with pytest.raises(
        RuntimeError, match=r"requantize\.v has 0 times 'no such text', which the control 'x' changes"
    ):
        control.changed()


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory):
    packs = [load_pack(GOLDEN / "nplm"), model.saturating(tmp_path_factory.mktemp("packs"))]
    return [model.Comparison(pack, "iverilog", vectors=2 if pack.name == "nplm" else 6) for pack in packs]


@pytest.mark.parametrize("kind", model.KINDS)
def test_a_mistake_in_the_model_is_found_in_its_layer(kind, comparisons):
    findings = []
    for comparison in comparisons:
        made = [mistake for mistake in model.mistakes(comparison.pack) if mistake.kind == kind]
        findings += [comparison.find(mistake) for mistake in made[:: max(1, len(made) // 4)]]
    verdicts = {finding.verdict for finding in findings}
    assert "named" in verdicts
    assert "another layer" not in verdicts


def test_tables_answer_every_input_code_like_the_model():
    assert exhaustive.table("sigmoid", QFormat(3, 3), Quantizer(QFormat(1, 15)), "iverilog") == 64


def test_the_settings_of_the_exhaustive_run_meet_every_rounding_overflow_and_sign():
    settings = exhaustive.settings()
    met = {(s.quantizer.rounding, s.quantizer.overflow, s.quantizer.format.signed) for s in settings}
    assert len(met) == len(settings) == 7 * 4 * 2


def test_coverage_is_read_module_by_module():
    text = (
        "# SystemC::Coverage-3\n"
        "C '\x01f\x02rtl/lane.v\x01l\x0212\x01page\x02v_line/lane\x01o\x02block\x01h\x02a.b' 3\n"
        "C '\x01f\x02rtl/lane.v\x01l\x0214\x01page\x02v_branch/lane\x01o\x02if\x01h\x02a.b' 0\n"
        "C '\x01f\x02rtl/tb/engine_tb.v\x01l\x029\x01page\x02v_line/engine_tb\x01o\x02block\x01h\x02a' 0\n"
    )
    counts = coverage.read(text)
    assert counts == {
        coverage.Point("lane", "line", 12, "block"): 3,
        coverage.Point("lane", "branch", 14, "if"): 0,
    }
    assert coverage.table_of(counts)[-1].split() == [
        "all",
        "100.0",
        "%",
        "of",
        "1",
        "0.0",
        "%",
        "of",
        "1",
        "-",
    ]


@pytest.fixture(scope="module")
def few_mutants():
    return targets.OfPack("conformance_wrapping", 10, quick=20)


@pytest.mark.slow
def test_a_few_mutants_are_killed_or_proven_equal(few_mutants):
    lines, holds = mutation.report(2, (few_mutants,))
    assert holds, lines
    assert lines[0].split() == ["module", "mutants", "killed", "equal", "listed", "survived"]


@pytest.mark.slow
def test_without_judges_mutants_survive_and_the_proof_of_equality_does_not_hide_them(few_mutants):
    lines, holds = mutation.report(2, (few_mutants,), judges=())
    assert not holds
    assert sum(line.startswith("  survived: conformance_wrapping ") for line in lines) >= 6


def test_a_reason_that_no_mutant_needs_is_told(monkeypatch):
    monkeypatch.setattr(reasons, "REASONS", {("moons", r"lane.v:1: .*"): "because"})
    assert reasons.reason("moons", "lane.v:1: inv of add Y[0]") == "because"
    assert reasons.reason("moons", "lane.v:2: inv of add Y[0]") == ""
    assert reasons.unused_reasons([("moons", "lane.v:1: inv of add Y[0]")]) == []
    assert reasons.unused_reasons([("nplm", "lane.v:1: inv of add Y[0]")]) == ["moons: lane.v:1: .*"]


def test_a_fact_that_does_not_hold_is_refuted():
    config = programs.PACKS["conformance_wrapping"].config
    design = machine.flattened(mutants.elaborate(config))
    wrong = equivalence.Facts(
        clauses=(((r"u_drain\.draining\[0\]", 0),),),
        idle={r"u_write_back\.words_1\[\d+\]": (r"u_drain\.draining\[0\]",)},
    )
    broken = equivalence.Prover(machine.Machine(design, design), wrong).broken(2)
    assert "u_drain_draining_0_is_0" in "".join(broken)
    assert "idle_next_u_write_back_words_2" in broken


@pytest.mark.slow
def test_a_proof_that_takes_too_long_fails_alone():
    hard = "wire [47:0] x = a * b, y = (a + 1'b1) * b - b; assign t = x != y && a != 24'hFFFFFF;"
    bodies = {"first": "assign t = a != a + b - b;", "hard": hard, "last": "assign t = a + b != b + a;"}
    wanted = {}
    for name, body in bodies.items():
        ports = "input [23:0] a, input [23:0] b, output t"
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            source, netlist = Path(folder) / "module.v", Path(folder) / "module.json"
            source.write_text(f"module {name}({ports}); {body} endmodule\n")
            run_yosys([f"read_verilog {source}", f"prep -top {name}", f"write_json {netlist}"])
            modules = json.loads(netlist.read_text())["modules"]
        wanted[name] = modules, [f"log PROOF {name}", f"sat -prove t 0 {name}"]
    assert equivalence.successes(wanted, seconds=6) == {"first", "last"}


def test_a_fault_in_use_that_is_not_answered_breaks_the_claim(monkeypatch, tmp_path):
    suite = tmp_path / "tests" / "test_faults.py"
    suite.parent.mkdir()
    suite.write_text(
        "def test_a_full_disk_is_told(): pass\n"
        "def test_a_killed_simulator_is_told(): assert False, 'nobody noticed'\n"
    )
    monkeypatch.setattr(faults, "TESTS", suite)
    monkeypatch.setattr(faults, "survey", lambda count, seed: ([], True))
    lines, holds = faults.report(workers=1)
    assert lines[:2] == ["a full disk is told: 1 of 1", "a killed simulator is told: 0 of 1"]
    assert "nobody noticed" in lines[2]
    assert not holds
    suite.write_text("def test_a_full_disk_is_told(): pass\n")
    assert faults.report(workers=1) == (["a full disk is told: 1 of 1"], True)
    monkeypatch.setattr(faults, "survey", lambda count, seed: (["damaged plan: fault 1"], False))
    assert faults.report(workers=1) == (["a full disk is told: 1 of 1", "damaged plan: fault 1"], False)
    suite.write_text("")
    assert not faults.report(workers=1)[1]


def _raising(error: BaseException) -> Kind:
    def read(path: Path) -> object:
        raise error

    return Kind(lambda folder: folder, read)


@pytest.mark.parametrize(
    ("kind", "word", "about"),
    [
        (_raising(KeyError("bits")), "fault", "KeyError: 'bits'"),
        (_raising(MemoryError()), "fault", "MemoryError"),
        (_raising(PlanError("bits")), "fault", "it is no sentence of a reader's length"),
        (_raising(PlanError("something about it is wrong somewhere")), "fault", "it does not name the file"),
        (_raising(PlanError("/a/plan.json: 'passed' is missing")), "fault", "it says nothing"),
        (
            _raising(PlanError("/a/plan.json: 'int' object has no attribute 'get', emit it again")),
            "fault",
            "of Python",
        ),
        (_raising(PlanError("/a/plan.json has two\nlines about what is wrong")), "fault", "no sentence"),
        (_raising(PlanError("/a/plan.json is nested too deeply; write it again")), "refused", "too deeply"),
        (Kind(lambda folder: folder, lambda path: "whole"), "equal", ""),
        (Kind(lambda folder: folder, lambda path: "other"), "fault", "what was read is not what was written"),
        (Kind(lambda folder: folder, lambda path: "other", by_hand=True), "another", ""),
    ],
)
def test_a_damaged_file_that_is_answered_badly_is_a_fault(kind, word, about):
    found, text = outcome(kind, Path("/a/plan.json"), "whole")
    assert found == word
    assert about in text


def test_an_unknown_part_is_refused_with_the_known_ones():
    done = subprocess.run(
        [sys.executable, "-m", "tests.proof", "magic"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 2
    assert (
        "there is no part 'magic'; the parts are formal, exhaustive, model, faults, files, coverage, mutation"
        in done.stderr
    )
