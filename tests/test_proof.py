# SPDX-License-Identifier: MIT
"""A small sample of every part of `python -m tests.proof`, so that none of them stops working unnoticed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import pytest

from fixedpoint_nn import QFormat, Quantizer
from fixedpoint_nn.hardware.pack import load_pack
from fixedpoint_nn.hardware.toolchain import rtl_folder
from golden_vectors import programs
from tests.proof import coverage, equivalence, exhaustive, files, formal, model, mutation, reasons
from tests.proof.judges import GOLDEN
from tests.proof.yosys import SCRATCH, run_yosys


def test_flipped_bits_of_moons_are_caught_by_the_checksum_and_many_by_the_comparison():
    result = files.run("moons", 40, workers=2, tried_on_all=0)
    assert result.by_checksum == result.flips == 40
    assert result.by_comparison >= 10
    assert result.by_comparison + result.idle + len(result.missed) + result.silent == 40


def test_one_changed_expected_word_is_named_exactly(tmp_path):
    sentence = files.changed_expectation("moons", 7, 0, tmp_path)
    assert sentence.startswith("FAIL: vector 7, output element 0: expected ")
    assert "so the images or the expected words are wrong" in sentence


def test_an_idle_bit_is_one_of_no_field_or_of_a_lane_without_a_channel():
    bits = list(files.idle(load_pack(GOLDEN / "moons")))
    assert {flip.kind for flip in bits} == {"program", "weights"}
    assert len(set(bits)) == len(bits)


@pytest.mark.parametrize("pipelined", [False, True])
def test_the_requantiser_equals_its_specification(pipelined):
    # A few questions about a small one; `python -m tests.proof formal` asks all of them about three sizes.
    claim = formal.Claim(16, 8, 6, pipelined)
    commands = [command for command in claim.commands() if not command.startswith("sat ")]
    questions = [command for command in claim.commands() if command.startswith("sat ")]
    chosen = questions[4:5] if pipelined else questions[:6]
    text = run_yosys([*commands, *chosen])
    assert text.count("SAT proof finished - no model found: SUCCESS!") == len(chosen)


def test_a_requantiser_that_forgets_the_bias_is_refuted():
    text = (rtl_folder() / "requantize.v").read_text()
    assert "= wide_sum + wide_bias;" in text
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        broken = Path(folder) / "requantize.v"
        broken.write_text(text.replace("= wide_sum + wide_bias;", "= wide_sum;"))
        commands = list(islice(formal.Claim(16, 8, 6, False).commands(), 10))
        commands[0] = commands[0].replace(" requantize.v", f" {broken}")
        with pytest.raises(RuntimeError, match=r"yosys: .*[Pp]roof"):
            run_yosys(commands)


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
    return mutation.Subject("conformance_wrapping", 16, quick=20)


def test_a_few_mutants_are_killed_or_proven_equal(few_mutants):
    lines, holds = mutation.report(2, (few_mutants,))
    assert holds, lines
    assert lines[0].split() == ["module", "mutants", "killed", "equal", "listed", "survived"]


def test_without_judges_mutants_survive_and_the_proof_of_equality_does_not_hide_them(few_mutants):
    lines, holds = mutation.report(2, (few_mutants,), judges=())
    assert not holds
    assert sum(line.startswith("  survived: conformance_wrapping ") for line in lines) >= 10


def test_a_reason_that_no_mutant_needs_is_told(monkeypatch):
    monkeypatch.setattr(reasons, "REASONS", {("moons", r"lane.v:1: .*"): "because"})
    assert reasons.reason("moons", "lane.v:1: inv of add Y[0]") == "because"
    assert reasons.reason("moons", "lane.v:2: inv of add Y[0]") == ""
    assert reasons.unused_reasons([("moons", "lane.v:1: inv of add Y[0]")]) == []
    assert reasons.unused_reasons([("nplm", "lane.v:1: inv of add Y[0]")]) == ["moons: lane.v:1: .*"]


def test_a_fact_that_does_not_hold_is_refuted():
    config = programs.PACKS["conformance_wrapping"].config
    design = equivalence.flattened(mutation.elaborate(config))
    wrong = equivalence.Facts(
        clauses=(((r"drain\.draining\[0\]", 0),),), idle={r"write_back\.word_1\[\d+\]": (r"drain\.draining\[0\]",)}
    )
    broken = equivalence.Prover(equivalence.Machine(design, design), wrong).broken(2)
    assert "drain_draining_0_is_0" in "".join(broken)
    assert "idle_next_write_back_word_2" in broken


def test_an_unknown_part_is_refused_with_the_known_ones():
    done = subprocess.run(
        [sys.executable, "-m", "tests.proof", "magic"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 2
    assert (
        "there is no part 'magic'; the parts are formal, exhaustive, model, files, coverage, mutation"
        in done.stderr
    )
