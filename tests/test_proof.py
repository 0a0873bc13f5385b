# SPDX-License-Identifier: MIT
"""A small sample of every part of `python -m tests.proof`, so that none of them stops working unnoticed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from fixedpoint_nn import QFormat, Quantizer
from fixedpoint_nn.hardware.pack import load_pack
from fixedpoint_nn.hardware.toolchain import rtl_folder
from tests.proof import coverage, exhaustive, files, formal, model
from tests.proof.judges import GOLDEN
from tests.proof.yosys import SCRATCH, run_yosys


def test_flipped_bits_of_moons_are_caught_by_the_checksum_and_by_the_comparison():
    result = files.run(files.Plan("moons", 20, 30, 200), workers=2)
    assert result.by_checksum == result.flips == 60
    assert result.simulated == 30
    assert result.missed == ()
    assert result.by_comparison >= 20
    assert result.by_comparison + result.idle + result.silent == 60
    assert result.holds


def test_a_flip_that_the_golden_vectors_miss_breaks_the_claim(monkeypatch):
    whole = load_pack(GOLDEN / "moons")
    few = replace(whole, vectors=whole.vectors[:2], expected=whole.expected[:2])
    monkeypatch.setattr(files, "load_pack", lambda path: few)
    result = files.run(files.Plan("moons", 40, 0), workers=2)
    assert result.missed
    assert not result.holds


def test_one_changed_expected_word_is_named_exactly(tmp_path):
    sentence = files.changed_expectation("moons", 7, 0, tmp_path)
    assert sentence.startswith("FAIL: vector 7, output element 0: expected ")
    assert "so the images or the expected words are wrong" in sentence


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
