# SPDX-License-Identifier: MIT
"""The share of the multipliers that the zoo's networks use: the page's table, and its figures on the Verilog."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixedpoint_nn.report import efficiency
from fixedpoint_nn.report.efficiency import AIMS, COLUMNS, NETWORKS, main, quantised, rows, simulated, use

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "engine.md").read_text("utf-8")


def line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |\n"


@pytest.mark.parametrize("name", ["moons", "names_lstm", "fashion_mlp"])
def test_the_page_holds_the_rows_of_a_network(name: str) -> None:
    for row in rows([name], COLUMNS, None):
        assert line(row) in PAGE, "run `python -m fixedpoint_nn.report.efficiency`"


def test_the_page_holds_the_rows_of_a_batch() -> None:
    (row,) = rows(["moons"], (64, 256), None, batch=16)
    assert line(row) in PAGE, "run `python -m fixedpoint_nn.report.efficiency --batch 16`"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pump_lstm", "names_lstm", "mnist_lstm", "fashion_mlp"])
def test_the_page_holds_the_rows_of_a_batch_of_larger_networks(name: str) -> None:
    (row,) = rows([name], (64, 256), None, batch=16)
    assert line(row) in PAGE


@pytest.mark.slow
def test_the_page_holds_the_whole_table() -> None:
    assert "".join(line(row) for row in rows(NETWORKS, COLUMNS, None)) in PAGE


def test_each_aim_has_a_figure_for_every_number_of_lanes() -> None:
    assert set(AIMS) <= set(NETWORKS)
    assert all(len(aims) == len(COLUMNS) for aims in AIMS.values())


def test_a_share_is_the_products_over_all_slots() -> None:
    fixed, x = quantised("moons")
    found = use("moons", fixed, x, 8)
    assert found.share == pytest.approx((2 * 16 + 16 * 16 + 16) / (8 * found.cycles))
    assert found.cycles < 142  # of one word per clock
    assert str(found) in PAGE


@pytest.mark.parametrize(("lanes", "batch"), [(8, 1), (64, 1), (64, 5)])
def test_a_small_network_has_its_words_and_its_cycles_in_icarus(lanes: int, batch: int) -> None:
    fixed, x = quantised("moons", batch)
    assert simulated(use("moons", fixed, x, lanes), fixed, x, "iverilog")


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [8, 64])
@pytest.mark.parametrize("name", ["bigram", "nplm", "names_lstm", "fashion_mlp"])
def test_small_networks_have_their_words_and_cycles_in_icarus(name: str, lanes: int) -> None:
    fixed, x = quantised(name)
    assert simulated(use(name, fixed, x, lanes), fixed, x, "iverilog")


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [8, 64, 256])
@pytest.mark.parametrize("name", AIMS)
def test_the_networks_with_aims_have_their_words_and_cycles_in_verilator(name: str, lanes: int) -> None:
    fixed, x = quantised(name)
    assert simulated(use(name, fixed, x, lanes), fixed, x, "verilator")


def test_the_command_prints_a_row_and_fails_where_a_simulation_differs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["moons", "--lanes", "8"]) == 0
    assert re.fullmatch(
        r"\| network \| 8 lanes \|\n\|---\|---\|\n\| moons \| 38\.0% \(4, 4\) \|\n", capsys.readouterr().out
    )
    monkeypatch.setattr(efficiency, "simulated", lambda *_: False)
    assert main(["moons", "--lanes", "8", "--simulate", "iverilog"]) == 1
    assert "| moons | FAIL (4, 4) |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["resnet50"])
    assert "there is no network 'resnet50' in this table" in capsys.readouterr().err
