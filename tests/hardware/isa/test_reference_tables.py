# SPDX-License-Identifier: MIT
"""The engine's README says what the instruction set, the memories and the timing are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.hardware.isa import reference_tables
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.hardware.isa.timing import LATENCY, Timing

ROOT = Path(__file__).resolve().parents[3]
RTL = ROOT / "reference_rtl"
README = (RTL / "README.md").read_text("utf-8")


@pytest.mark.parametrize("part", reference_tables.PARTS)
def test_the_readme_holds_what_the_package_prints(part: str) -> None:
    assert reference_tables.PARTS[part]() in README, (
        "run `python -m fixedpoint_nn.hardware.isa.reference_tables`"
    )


def test_the_page_on_the_engine_holds_the_same_memory_map() -> None:
    assert reference_tables.memory_map() in (ROOT / "docs" / "engine.md").read_text("utf-8")


@pytest.mark.parametrize(
    "config", [EngineConfig(), EngineConfig(2, 9, 8, 30, 13, activation_depth=40, weight_depth=52)], ids=str
)
def test_the_memory_map_is_that_of_the_images_and_of_the_verilog(config: EngineConfig) -> None:
    values = config.verilog()
    images = Images(
        [0],
        np.ones((1, config.lanes), np.int64),
        np.ones((1, 2), np.int64),
        np.ones(1, np.int64),
        np.ones(1, np.int64),
    )
    widths = {kind: bits for kind, (bits, _) in images.words(config).items()}
    assert {m.image: eval(m.bits, {}, values) for m in reference_tables.MEMORIES} == widths
    verilog = " ".join((RTL / "engine.v").read_text().split())
    ports = re.findall(r"\.DEPTH\((\w+)\).*?load_memory == 2'd(\d)", verilog)
    assert sorted(ports) == sorted(
        (m.words, m.port[-1]) for m in reference_tables.MEMORIES if m.port[:4] == "load"
    )
    rows = eval(reference_tables.MEMORIES[-1].words, {}, values)
    assert rows == config.activation_depth / config.lanes


def test_the_pipeline_has_every_stage_once_and_names_modules() -> None:
    section = README.partition("## The pipeline, stage by stage")[2].partition("## ")[0]
    rows = re.findall(r"^\| ([\d, ]+) \| (.*?) \|", section, re.MULTILINE)
    stages = [int(stage) for row, _ in rows for stage in row.split(",")]
    assert stages == list(range(LATENCY + 1))
    named = {name for _, where in rows for name in re.findall(r"`(\w+)`", where)}
    assert {name for name in named if not (RTL / f"{name}.v").exists()} == set()


def test_every_module_stands_in_the_readme_with_a_twin_that_exists() -> None:
    section = README.partition("## Modules")[2].partition("## ")[0]
    rows = dict(re.findall(r"^\| `(\w+\.v)` \|.*\|([^|]*)\|$", section, re.MULTILINE))
    assert set(rows) == {path.name for path in RTL.glob("*.v")}
    paths = [path for twin in rows.values() for path in re.findall(r"`([\w/]+\.py)", twin)]
    assert all(twin.strip() for twin in rows.values())
    assert [path for path in paths if not (ROOT / "fixedpoint_nn" / path).exists()] == []


def clocks(start: str, end: str) -> str:
    """A row of the table of latencies."""
    (found,) = re.findall(rf"^\| {re.escape(start)} \| {re.escape(end)} \| (.*?) \|$", README, re.MULTILINE)
    return str(found)


@pytest.mark.parametrize(("lanes", "last"), [(8, 8), (8, 3), (2, 1)])
def test_the_latencies_are_those_of_the_timing(lanes: int, last: int) -> None:
    long = Run(counts=(200, 1, 1, 3, 1, 1), last_channels=last)
    timing, apart = Timing(lanes), {}
    before = timing.run(long)
    assert before.first_step == int(clocks("`start`", "first word of the program decoded")) + int(
        clocks("first word of a `Run`", "its description is whole")
    ) + int(clocks("a description that is handed over", "its first step"))
    for barrier in (False, True):
        after = timing.run(Run(counts=long.counts, last_channels=last, barrier=barrier))
        apart[barrier] = after.first_step - before.last_step
        before = after
    assert apart[False] == int(clocks("last step of a run", "first step of the next one, without `barrier`"))
    wanted = clocks("last step of a run", "first step of the next one, with `barrier`")
    assert apart[True] == eval(wanted, {}, {"D": last})
    timing.halt()
    assert timing.cycles - before.last_step == eval(
        clocks("last step of a run", "`Halt`, `Load` or `Store` goes on"), {}, {"D": last}
    )
    short = Timing(lanes).run(Run(counts=(1, 1, 1, 3, 1, 1), last_channels=last))
    assert short.tile(0, 1) - short.tile(0, 0) == lanes  # D of a tile that is not the last
