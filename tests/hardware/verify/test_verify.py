# SPDX-License-Identifier: MIT
"""`verify` passes what is right, and fails everything else, saying where."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import Q, emit, layers
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.sim import build, run, toolchain, waves
from fixedpoint_nn.hardware.verify.diagnosis import likely_cause
from fixedpoint_nn.hardware.verify.first_difference import first_divergence
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.quantizer import Quantizer
from tests.support.battery import CASES, quantized_case

RTL = toolchain.rtl_folder()


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    name = "text model"
    *_, net, format = quantized_case(name)
    quantizer = Quantizer(format)
    x = FixedArray.from_float(CASES[name].floats(), quantizer)
    return emit(
        Quantized(net, quantizer), x, tmp_path_factory.mktemp("packs") / "text", name="text", corner_vectors=2
    )


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "text"))


def change(folder: Path, kind: str, edit) -> None:
    """Edit an image in both forms and state the new checksums: only the simulation can notice."""
    path = folder / "manifest.json"
    about = json.loads(path.read_text())
    bits = about["files"][manifest.file_name(kind, ".coe")]["bits"]
    words = edit(memory_files.read_mem((folder / manifest.file_name(kind, ".mem")).read_text(), bits))
    for suffix, text in (
        (".coe", memory_files.write_coe(words, bits)),
        (".mem", memory_files.write_mem(words, bits)),
    ):
        (folder / manifest.file_name(kind, suffix)).write_text(text)
        content = (folder / manifest.file_name(kind, suffix)).read_bytes()
        about["files"][manifest.file_name(kind, suffix)] |= {
            "bytes": len(content),
            "words": len(words),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    path.write_text(json.dumps(about))


def state(folder: Path, **values: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture
def broken_engine(tmp_path, monkeypatch):
    """`break_engine(file, old, new)`: the Verilog with one change in it."""
    copy = tmp_path / "rtl"
    shutil.copytree(toolchain.rtl_folder(), copy)
    monkeypatch.setattr(build, "rtl_folder", lambda: copy)
    monkeypatch.setenv("FIXEDPOINT_NN_CACHE", str(tmp_path / "cache"))

    def break_engine(name: str, old: str, new: str) -> None:
        text = (copy / name).read_text()
        assert old in text
        (copy / name).write_text(text.replace(old, new))

    return break_engine


def test_a_changed_copy_of_the_verilog_is_verified_in_the_place_of_the_engine(folder, tmp_path):
    copy = tmp_path / "mine"
    shutil.copytree(toolchain.rtl_folder(), copy)
    assert verify(folder, rtl=copy).passed
    text = (copy / "requantize.v").read_text()
    (copy / "requantize.v").write_text(re.sub(r"3'd6: round = [^;]*;", "3'd6: round = half;", text))
    verdict = verify(folder, rtl=str(copy), vcd=tmp_path / "waves.vcd")
    assert (verdict.passed, verdict.ran) == (False, True)
    assert "first divergence: vector 0, layer lstm.cells.0.cell_tanh" in verdict.text
    assert (tmp_path / "waves.vcd").stat().st_size > 1000
    assert verify(folder).passed


def test_a_folder_without_the_engine_is_refused(folder, tmp_path):
    verdict = verify(folder, rtl=tmp_path)
    sentence = f"{tmp_path} holds no engine.v; give a copy of {toolchain.rtl_folder()}, with its changes"
    assert (verdict.passed, verdict.ran) == (False, False)
    assert sentence in verdict.text


# What stands in engine.v, what a mistake would be, and the cause that must be named. The mistakes are made where
# modules are joined, so that a module can be written in another way.
BUGS = [
    (
        ".rounding(rounding)",
        ".rounding(rounding == 3'd6 ? 3'd2 : rounding)",
        "rounding HALF_UP instead of HALF_EVEN",
    ),
    (
        ".overflow(overflow)",
        ".overflow(overflow == 2'd1 ? 2'd0 : overflow)",
        "overflow WRAP instead of SATURATE",
    ),
    (".bias(parameters[index*PARAMETER +: BIAS])", ".bias({BIAS{1'b0}})", "the bias is missing"),
    (".shift(parameters[", ".shift(6'd1 + parameters[", "a shift by one bit too many"),
    (".shift(parameters[", ".shift(6'd63 + parameters[", "a shift by one bit too few"),
    (
        "(source[0] ? results[WORD-1:0] :",
        "(source[0] ? {1'b0, results[WORD-2:0]} :",
        "sign extension: only the low 7 bits are right",
    ),
    (
        ".totals(tile_sums)",
        ".totals({tile_sums[ACCUMULATOR_WIDTH-1:0], tile_sums[LANES*ACCUMULATOR_WIDTH-1:ACCUMULATOR_WIDTH]})",
        "the sum of the neighbour channel at +1: an address is off by 1",
    ),
    (
        ".read_address(parameter_address[PARAMETER_BITS-1:0])",
        ".read_address(parameter_address[PARAMETER_BITS-1:0] + 1'b1)",
        "shift and bias of the neighbour channel at +1: an address is off by 1",
    ),
    (
        "access_address : result_address;",
        "access_address : result_address + 1'b1;",
        "written to address 1 instead of 0",
    ),
]


@pytest.mark.parametrize(("old", "new", "cause"), BUGS)
def test_a_broken_engine_is_found_out_with_the_likely_cause(old, new, cause, broken_engine, tmp_path):
    quantizer = Quantizer(Q(2, 6))
    rng = np.random.default_rng(0)
    weight = FixedArray.from_ints(rng.integers(-128, 128, (6, 20)), Q(2, 6))
    bias = FixedArray.from_ints(rng.integers(-128, 128, 20), Q(2, 6))
    net = Quantized(layers.Dense(weight, bias, out=Quantizer(Q(2, 6), name="dense.out")), quantizer)
    pack = emit(
        net,
        FixedArray.from_ints(rng.integers(-128, 128, (8, 6)), Q(2, 6)),
        tmp_path / "dense",
        corner_vectors=24,
    )
    assert verify(pack).passed
    broken_engine("engine.v", old, new)
    verdict = verify(pack)
    assert not verdict
    assert "first divergence: vector" in str(verdict)
    assert "layer dense.out, time step 0, element" in str(verdict)
    assert f"likely cause: {cause}" in str(verdict)
    assert not verify(pack, trace=True)


@pytest.mark.parametrize("trace", [False, True])
def test_a_good_pack_passes_with_its_counts(original, trace):
    verdict = verify(original, trace=trace)
    about = json.loads((original / "manifest.json").read_text())
    assert verdict.passed
    words = about["output"]["words"] * 5
    assert str(verdict).startswith(f"PASS: 5 vectors, {words} words, {sum(about['cycles'])} cycles")
    assert ("writes traced" in str(verdict)) == trace


@pytest.mark.parametrize(
    ("got", "cause"),
    [
        (4, "the word of the neighbour at +1: an address is off by 1"),
        (2, "the word of the neighbour at -1: an address is off by 1"),
        (99, "the word of the neighbour at +8: an address is off by 8"),
        (5, "sign extension: only the low 3 bits are right"),
        (77, ""),
        (None, "an operand, a weight or a table word was never written"),
    ],
)
def test_a_word_alone_tells_a_neighbour_or_a_missing_sign(got, cause):
    values = np.array([2, -3, 4, 9, 10, 11, 12, 13, 14, 99])
    assert likely_cause(None, 1, values, [2, got], EngineConfig(activation_width=9)) == cause


def test_words_that_nothing_should_have_written_are_a_divergence(original):
    pack = load_pack(original)
    job = run.Job(pack.config, pack.mem_files(), pack.input, pack.output)
    trace = run.simulate(job, pack.vectors[:1], trace=True).traces[0]

    def found(trace: list) -> object:
        return first_divergence(
            pack.config, pack.images, pack.input, pack.manifest["runs"], pack.vectors[0], trace
        )

    assert found(trace) is None
    assert str(found([*trace, (900, 7, "1f"), (901, 8, "20")])) == (
        "2 words more than expected were written; the first is 1f, to address 7 in cycle 900"
    )
    assert "got no word at all (undefined)" in str(found(trace[:-1]))


def test_waveforms_and_a_save_file_are_written(original, tmp_path):
    assert verify(original, vcd=tmp_path / "waves.vcd", vectors=1)
    head = (tmp_path / "waves.vcd").read_text()[:200_000]
    saved = (tmp_path / "waves.gtkw").read_text().splitlines()
    names = [line for line in saved if line.startswith("engine_tb.")]
    assert len(names) == sum(map(len, waves.SIGNALS.values()))
    assert "engine_tb.cycles[31:0]" in names
    for name in names:  # GTKWave shows nothing for a vector that is named without its range
        signal, _, bits = name.rpartition(".")[2].partition("[")
        assert f" {signal} [{bits} $end" in head if bits else f" {signal} $end" in head


def test_the_waveforms_are_those_of_the_vector_that_fails(folder, tmp_path, monkeypatch):
    recorded = []
    monkeypatch.setattr(
        waves, "record", lambda job, inputs, path: recorded.append((job.seed, inputs.tolist()))
    )
    pack = load_pack(folder)
    change(folder, "expected", lambda words: [*words[:-1], words[-1] ^ 1])
    assert "FAIL: vector 4, output element" in str(verify(folder, vcd=tmp_path / "waves.vcd"))
    assert recorded == [(pack.seed + 4, pack.vectors[4:].tolist())]


def test_waveforms_that_cannot_be_written_fail_and_hide_no_other_failure(folder, tmp_path):
    (tmp_path / "waves.vcd").mkdir()
    sentence = f"{tmp_path / 'waves.vcd'} cannot be written (Is a directory); choose another file"
    verdict = verify(folder, vcd=tmp_path / "waves.vcd")
    assert (verdict.passed, verdict.ran) == (False, False)
    assert re.fullmatch(
        rf"PASS: \d+ vectors, .* cycles\n      NO WAVEFORMS: {re.escape(sentence)}", str(verdict)
    )
    change(folder, "expected", lambda words: [words[0] ^ 1, *words[1:]])
    first, *_, last = str(verify(folder, vcd=tmp_path / "waves.vcd")).splitlines()
    assert first.startswith("FAIL: vector 0, output element 0: expected")
    assert last.strip() == f"NO WAVEFORMS: {sentence}"


def test_the_save_file_names_signals_as_each_simulator_does():
    verilator = """$version Generated by VerilatedVcd $end
 $scope module TOP $end
  $scope module engine_tb $end
   $var wire  1 # clock $end
   $var wire 32 % cycles [31:0] $end
   $scope module u_engine $end
    $var wire  9 ' word [8:0] $end
   $upscope $end
  $upscope $end
 $upscope $end
$enddefinitions $end
$var wire 1 ! late $end
"""
    assert waves.declared(verilator.splitlines()) == {
        "clock": "TOP.engine_tb.clock",
        "cycles": "TOP.engine_tb.cycles[31:0]",
        "u_engine.word": "TOP.engine_tb.u_engine.word[8:0]",
    }


def test_a_wrong_expected_word_fails(folder):
    change(folder, "expected", lambda words: [*words[:7], words[7] ^ 1, *words[8:]])
    verdict = verify(folder)
    assert not verdict
    assert "FAIL: vector 0, output element 7: expected" in str(verdict)
    assert "so the images or the expected words are wrong" in str(verdict)


@pytest.mark.parametrize("kind", ["weights", "parameters", "tables", "activations", "input"])
def test_a_wrong_word_of_an_image_fails(folder, kind):
    change(folder, kind, lambda words: [word ^ 1 if kind != "parameters" else word ^ 6 for word in words])
    assert not verify(folder)


def test_a_wrong_instruction_fails(folder):
    change(folder, "program", lambda words: [0, *words[1:]])
    assert not verify(folder)


def test_an_image_that_was_never_loaded_gives_x_and_fails(folder):
    change(folder, "activations", lambda words: words[:1])
    verdict = verify(folder)
    assert not verdict
    assert "is X" in str(verdict)
    assert "which nothing has written" in str(verdict)


def test_a_mem_file_that_differs_from_its_coe_fails(folder):
    path = folder / "images/weights.mem"
    about = json.loads((folder / "manifest.json").read_text())
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], "0" * len(lines[-1])]) + "\n")
    content = path.read_bytes()
    about["files"]["images/weights.mem"] |= {"sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(about))
    verdict = verify(folder)
    assert not verdict
    assert "images/weights.mem and its .coe hold different words; emit the pack again" in str(verdict)


def test_missing_and_short_images_fail(folder):
    (folder / "images/weights.mem").unlink()
    assert str(verify(folder)) == f"FAIL: {folder / 'images/weights.mem'} is missing; emit the pack again"


def test_the_bench_itself_refuses_a_short_image(folder):
    loaded = load_pack(folder)
    files = loaded.mem_files()
    path = files["weights"].path
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    job = run.Job(loaded.config, files, loaded.input, loaded.output)
    with pytest.raises(run.SimulationError, match="the weights image is missing, short, or not hexadecimal"):
        run.simulate(job, loaded.vectors[:1])


def test_a_count_that_differs_fails(folder):
    state(folder, vectors=4)
    assert "cycles are stated of 5 vectors, and there are 4; emit the pack again" in str(verify(folder))
    about = json.loads((folder / "manifest.json").read_text())
    state(folder, **{name: about[name][:4] for name in ("cycles", "mac_cycles", "origins")})
    assert "holds 30 words, and 4 vectors of 6 are stated; emit the pack again" in str(verify(folder))


def test_more_vectors_than_the_pack_holds_are_refused(original):
    assert str(verify(original, vectors=6)) == f"FAIL: {original} holds 5 vectors, not 6; ask for no more"


def test_cycles_that_were_not_predicted_fail(folder):
    about = json.loads((folder / "manifest.json").read_text())
    state(folder, cycles=[cycles - 1 for cycles in about["cycles"]])
    assert str(verify(folder)).endswith(f"cycles and {about['cycles'][0] - 1} were predicted")


@pytest.mark.parametrize(
    ("simulator", "sentence"),
    [
        ("iverilog", "Icarus Verilog 11.0 or newer is needed, but there is none on PATH"),
        ("verilator", "Verilator 5.006 or newer"),
    ],
)
def test_an_absent_simulator_fails(original, simulator, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "rtl_folder", lambda: RTL)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "_PACKAGE", tmp_path / "package")
    monkeypatch.setattr(toolchain.sys, "executable", str(tmp_path / "python"))
    verdict = verify(original, simulator)
    assert not verdict
    assert sentence in str(verdict)


def pretend(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_simulator_that_is_too_old_fails(original, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "rtl_folder", lambda: RTL)
    pretend(tmp_path, "iverilog", "echo Icarus Verilog version 10.3")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(toolchain, "_PACKAGE", tmp_path / "package")
    verdict = verify(original)
    assert not verdict
    assert "is version 10.3" in str(verdict)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("kill -9 $$", "iverilog was killed by signal 9 before it had finished"),
        ("exit 0", "iverilog ended with status 0 and without a PASS: it said nothing"),
        ("echo PASS: 1 vectors, 1 words, 1 cycles", "without a PASS: PASS: 1 vectors, 1 words, 1 cycles"),
        ("echo out of memory >&2; exit 3", "iverilog ended with status 3 and without a PASS: out of memory"),
    ],
)
def test_a_simulator_that_dies_or_lies_fails(original, script, sentence, tmp_path, monkeypatch):
    pretend(
        tmp_path,
        "vvp",
        f'case "$*" in *-V*) echo Icarus Verilog runtime version 11.0; exit 0;; esac\n{script}',
    )
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    verdict = verify(original)
    assert not verdict
    assert not verdict.ran
    assert str(verdict).startswith("NOT RUN: ")
    assert sentence in str(verdict)


def test_an_unknown_simulator_is_refused(original):
    assert str(verify(original, "modelsim")) == (
        "NOT RUN: There is no simulator 'modelsim'; use 'iverilog' or 'verilator'."
    )
