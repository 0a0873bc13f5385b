# SPDX-License-Identifier: MIT
"""A good pack passes wherever it lies, wherever temporary files go, and wherever simulators are kept."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import Q, RtlModel
from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware import verify
from fixedpoint_nn.hardware.sim import cache
from fixedpoint_nn.hardware.textgen import RtlWriter, SamplingConfig, write
from fixedpoint_nn.hardware.verify.readback import verify_readback
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.report.record import Record
from tests.hardware.textgen.test_textgen import writer
from tests.proof.conformance.__main__ import HERE
from tests.support.battery import over_integers, randomly_quantized

ODD = [
    "été",
    "a b",
    "tab\there",
    "line\nbreak",
    "quote's",
    '"double"',
    "semi;colon",
    "dollar$HOME",
    "%s",
    "日本",
    "#1&2",
]


@pytest.fixture
def plain_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
@pytest.mark.parametrize("name", ODD)
def test_a_pack_passes_in_a_folder_of_any_name(
    name: str, simulator: str, tmp_path: Path, plain_cache: None
) -> None:
    pack = shutil.copytree(HERE / "moons", tmp_path / name / "pack")
    waves = tmp_path / name / "waves.vcd"
    verdict = verify(pack, simulator, vectors=3, trace=True, vcd=waves if simulator == "iverilog" else None)
    assert verdict.passed, verdict.text
    assert simulator == "verilator" or waves.stat().st_size > 1000


WORST = "a b\t'c'; $d `e` \"f\" é\n&|<>()*\\"


@pytest.fixture
def somewhere(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of this name, for temporary files (ours and those of the tools), for simulators, and to be in."""
    place = tmp_path / request.param
    place.mkdir(mode=0o700)
    monkeypatch.setenv(cache.VARIABLE, str(place / "cache"))
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)  # so that it is looked for again
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("somewhere", ["été", "dollar$HOME", '"double"', "`echo`", WORST], indirect=True)
def test_icarus_passes_with_temporary_files_and_simulators_anywhere(somewhere: Path) -> None:
    verdict = verify(HERE / "moons", "iverilog", vectors=2)
    assert verdict.passed, verdict.text


@pytest.mark.parametrize("somewhere", [WORST], indirect=True)
def test_verilator_builds_with_temporary_files_and_simulators_anywhere(somewhere: Path) -> None:
    verdict = verify(HERE / "moons", "verilator", vectors=2)
    assert verdict.passed, verdict.text


@pytest.mark.slow
@pytest.mark.parametrize("somewhere", [WORST], indirect=True)
def test_verilator_writes_waveforms_anywhere(somewhere: Path) -> None:
    verdict = verify(HERE / "moons", "verilator", vectors=2, vcd=somewhere / "waves.vcd")
    assert verdict.passed, verdict.text
    assert "$enddefinitions" in (somewhere / "waves.vcd").read_text()


@pytest.mark.parametrize("somewhere", [WORST], indirect=True)
def test_memories_are_read_back_and_waveforms_written_anywhere(somewhere: Path) -> None:
    shutil.copytree(HERE / "moons", somewhere / "pack")
    verdict = verify_readback("pack")
    assert verdict.passed, verdict.text
    assert verify("pack", vectors=1, vcd="waves.vcd")
    assert (somewhere / "waves.vcd").stat().st_size > 1000


@pytest.mark.parametrize("somewhere", [WORST], indirect=True)
def test_a_model_and_a_writer_run_on_the_verilog_anywhere(somewhere: Path) -> None:
    fixed = Quantized(
        over_integers(randomly_quantized(Initialiser(0, np.float64).dense(3, 4), 0)), Quantizer(Q(3, 5))
    )
    x = np.random.default_rng(0).normal(size=(2, 3))
    assert np.array_equal(RtlModel(fixed, lanes=4)(x).ints, fixed(x).ints)
    words, how = writer("rnn"), SamplingConfig(6, 1.0)
    assert np.array_equal(RtlWriter(words, how)(5), [write(words, how, 5)])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such name")
def test_a_name_that_is_no_text_passes_and_is_printed_and_recorded(
    tmp_path: Path, plain_cache: None, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = shutil.copytree(HERE / "moons", tmp_path / os.fsdecode(b"\xff") / "pack")
    waves = pack.parent / "waves.vcd"
    assert main(["verify", str(pack), "--vectors", "1", "--vcd", str(waves)]) == 0
    assert capsys.readouterr().out.startswith("PASS: ")
    assert waves.stat().st_size > 1000
    assert str(pack) in Record.load(pack / "run-verify.json").line
    (pack / "images" / "weights.coe").unlink()
    assert main(["verify", str(pack)]) == 1
    assert "\\udcff" in capsys.readouterr().out
