# SPDX-License-Identifier: MIT
"""What the page on the engine says about shapes, and about the one network that uses few of its clocks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fixedpoint_nn.hardware.isa.instructions import Halt, Run
from fixedpoint_nn.hardware.isa.schedule import mac_steps, schedule
from fixedpoint_nn.hardware.isa.timing import LATENCY, Timing
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.tools import efficiency
from fixedpoint_nn.hardware.tools.efficiency import LEAST_BESIDE_STEPS, SHAPES, LayerShape, clocks, shapes

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "engine.md").read_text("utf-8")
GOLDEN = ROOT / "golden_vectors"
MOONS = (LayerShape("first", 2, 16), LayerShape("second", 16, 16), LayerShape("third", 16, 1))
MLP_AND_CNN = ("nplm", "fashion_mlp", "lenet", "resnet8")
RECURRENT = (
    "names_lstm",
    "names_writer",
    "makemore_lstm",
    "shakespeare_lstm",
    "mnist_lstm",
    "mnist_gru",
    "mnist_rnn",
)


def test_the_page_holds_the_table_of_shapes() -> None:
    assert shapes() in PAGE, "run `python -m fixedpoint_nn.hardware.tools.efficiency`"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("barrier", [False, True])
def test_the_clocks_of_a_shape_are_those_of_the_schedule(
    shape: LayerShape, lanes: int, barrier: bool
) -> None:
    run, halt = shape.run(lanes, barrier), Halt()
    two, three = (schedule([run] * count + [halt], lanes) for count in (2, 3))
    assert two is not None
    assert three is not None
    assert three.cycles - two.cycles == clocks(shape, lanes, barrier)


@pytest.mark.parametrize(
    ("names", "least"), [(MLP_AND_CNN, 0.95), (RECURRENT, 0.90)], ids=["MLPs and CNNs", "recurrent"]
)
def test_the_networks_of_the_zoo_use_their_clocks(names: tuple[str, ...], least: float) -> None:
    for name in names:
        about = json.loads((GOLDEN / name / "manifest.json").read_text())
        assert about["engine"]["lanes"] == 8
        assert sum(about["mac_cycles"]) >= least * sum(about["cycles"]), name


def test_the_arithmetic_of_moons() -> None:
    pack = load_pack(GOLDEN / "moons")
    steps, cycles = pack.manifest["mac_cycles"][0], pack.cycles[0]
    timing = Timing(8)
    first, second, third = (timing.run(shape.run(8, barrier=place > 0)) for place, shape in enumerate(MOONS))
    timing.halt()
    assert (
        (steps, cycles)
        == (sum(mac_steps(shape.run(8, False)) for shape in MOONS), timing.cycles)
        == (52, 142)
    )
    read = first.first_step
    drained = first.last_step - first.first_step + 1 - 4
    waits = [b.first_step - a.last_step - 1 for a, b in ((first, second), (second, third))]
    end = timing.cycles - third.last_step - 1
    assert (read, drained, waits, end) == (25, 6, [22, 22], LATENCY)
    assert read + drained + sum(waits) + end + steps == cycles
    assert int(steps / 0.95) - steps == 2 < LEAST_BESIDE_STEPS
    assert steps / (steps + LEAST_BESIDE_STEPS) < 0.95
    many = [clocks(replace(shape, pixels=pixels), 8, False) for shape in MOONS for pixels in (1000, 2000)]
    each = [(b - a) / 1000 for a, b in zip(many[::2], many[1::2], strict=True)]
    assert each == [16, 32, 16]
    words = [shape.channels for shape in MOONS]
    taken = [mac_steps(shape.run(8, False)) for shape in MOONS]
    assert each == [max(*pair) for pair in zip(taken, words, strict=True)]
    twice = sum(max(mac, -(-count // 2)) for mac, count in zip(taken, words, strict=True))
    for figure in (
        *("52 steps take 142 clocks", "52 of 55: 94.5 %", "16 + 32 + 16 clocks then (52 of 64: 81 %)"),
        f"{steps} of {twice} ({steps / twice:.0%})".replace("%", " %"),
    ):
        assert figure in " ".join(PAGE.split())
    assert (f"{52 / 55:.1%}", f"{52 / 64:.0%}") == ("94.5%", "81%")


def test_the_command_lists_the_runs_of_a_pack(capsys: pytest.CaptureFixture[str]) -> None:
    assert efficiency.main([str(GOLDEN / "moons"), str(GOLDEN / "names_writer")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "moons: 52 steps in 142 clocks, 36.6%; no machine with registered memories and accumulators "
        "takes fewer than 55 (94.5%)"
    )
    assert "| act2.out | 20 | 32 | 54 | 59.3% |" in lines
    assert "Its program jumps on what it has written, so its runs have no schedule." in lines
    assert efficiency.main([str(ROOT / "docs")]) == 1
    assert "holds no manifest.json" in capsys.readouterr().err


def test_a_paired_product_counts_once() -> None:
    run = LayerShape("f*c + i*g", 2, 8, paired=True).run(8, False)
    assert isinstance(run, Run)
    assert (run.counts[0], mac_steps(run)) == (4, 2)
