# SPDX-License-Identifier: MIT
"""What is printed after a pass is what there is, with the layers' names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware import LoweringError, Refusal
from fixedpoint_nn.hardware.compiler import pipeline
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.compiler.show import PASSES
from tests.support.battery import quantized_case
from tests.support.random_networks import random_network


@pytest.fixture(scope="module")
def compiled() -> CompiledNetwork:
    case = random_network("text", 2)
    return lower(case.fixed.net, case.batch.shape[1:], case.fixed.input.format, case.lanes)


@pytest.mark.parametrize("name", PASSES)
def test_every_pass_is_shown_with_its_layers(name: str, compiled: CompiledNetwork) -> None:
    text = compiled.stages.show(name)
    assert text.startswith(f"; after {name}: {PASSES[name]}\n")
    layers = {kernel.name for kernel in compiled.kernels} - {""}
    shown = {layer for layer in layers if layer in text}
    assert shown == layers or (name == "trace" and shown)


def test_what_is_shown_after_encoding_is_the_program(compiled: CompiledNetwork) -> None:
    lines = [
        line for line in compiled.stages.show("encode").splitlines() if not line.lstrip().startswith(";")
    ]
    assert [line.split(maxsplit=1)[1] for line in lines] == [str(i) for i in compiled.instructions]
    assert [int(line.split()[0]) for line in lines][-1] == len(compiled.images.program) - 1


def test_an_unknown_pass_is_one_sentence(compiled: CompiledNetwork) -> None:
    with pytest.raises(LoweringError) as caught:
        compiled.stages.show("choose")
    assert str(caught.value) == (
        "There is no pass 'choose'; the passes are trace, lower, legalise, select, flatten, barriers, allocate, "
        "encode."
    )
    assert Refusal is LoweringError


def test_the_command_shows_a_pass_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "moons", "--word", "8", "--show", "barriers"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "; after barriers: which kernels wait for earlier results"
    assert "wait run act2.out: sum of 16 x 16 channels" in out
    assert main(["emit", "moons", "--word", "8"]) == 2
    assert "emit takes either --out, the folder of the pack, or --show" in capsys.readouterr().err


def test_every_buffer_has_a_name_of_its_own_and_an_initial_state_the_name_of_its_state() -> None:
    *_, net, format = quantized_case("LSTM, last step")
    stages = lower(net, (5, 3), format).stages
    for name in ("lower", "legalise", "select", "allocate"):
        declared = re.findall(r"^ *(?:buffer|\d+ ) (\S+), \d+ words", stages.show(name), re.MULTILINE)
        assert len(set(declared)) == len(declared) > 1
    initial = [line for line in stages.show("lower").splitlines() if " (initial)" in line]
    assert len(initial) == 2
    assert all("= nothing + bias" in line for line in initial)


def test_the_example_of_the_compilers_readme_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(pipeline.__file__).parent / "README.md").read_text()
    command, *lines = re.findall(r"^    (.*)$", text, re.MULTILINE)
    assert main(command.removeprefix("$ fixedpoint-nn ").split()) == 0
    assert capsys.readouterr().out.splitlines() == lines
