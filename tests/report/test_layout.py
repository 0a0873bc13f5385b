# SPDX-License-Identifier: MIT
"""How the page looks: whole tables, honest axes, runs in their order; on a desk, on a phone, in print."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fixedpoint_nn.report import Record, write_report
from fixedpoint_nn.report.figures import latency_bars, pareto_front
from fixedpoint_nn.report.page import Page, ReportTable
from fixedpoint_nn.report.record import Stopwatch, records_below
from fixedpoint_nn.report.svg import Element, Picture
from tests.support.browser import asked_of, chromium


def words(picture: Picture) -> list[str]:
    """Every text in a picture."""
    return [
        "".join(part for part in element.children if isinstance(part, str)).replace("\N{MINUS SIGN}", "-")
        for element in picture.root
        if element.tag == "text"
    ]


def marks(picture: Picture, axis: int) -> list[float]:
    """The numbers at an axis: 1 is horizontal, 2 vertical."""
    groups = [e for e in picture.root if e.attributes.get("id") == f"matplotlib.axis_{axis}"]
    texts = words(Picture(Element("svg", {}, list(groups)), ""))
    return [float(text) for text in texts if re.fullmatch(r"-?[\d.]+", text)]


def point(share: float, kilobytes: int) -> dict[str, object]:
    return {"metric": share, "weight_bits": 8192 * kilobytes, "value": str(kilobytes)}


def test_accuracy_goes_from_nothing_to_a_hundred_percent_and_sizes_from_zero() -> None:
    found = {
        "metric": "accuracy",
        "more_is_better": True,
        "float_score": 1.0,
        "points": [point(0.9, 20), point(1.0, 40)],
    }
    picture = pareto_front(found)
    assert (min(marks(picture, 2)), max(marks(picture, 2))) == (0, 100)
    assert min(marks(picture, 1)) == 0
    assert "accuracy, %" in words(picture)


def test_a_point_without_a_number_is_left_out_of_the_picture() -> None:
    found = {
        "metric": "nll",
        "more_is_better": False,
        "float_score": float("nan"),
        "points": [point(2.5, 10), point(2.0, 20), point(float("nan"), 30), point(float("inf"), 40)],
    }
    assert max(marks(pareto_front(found), 1)) < 30


def test_bars_of_latency_start_at_zero_and_are_as_long_as_their_times() -> None:
    picture = latency_bars({"engine": 1.5, "NumPy": 3.0})
    assert min(marks(picture, 1)) == 0
    bars = [
        [float(number) for number in re.findall(r"-?[\d.]+", element.attributes["d"])]
        for element in picture.root
        if element.attributes.get("fill") == "var(--colour-0)"
    ]
    first, second = (max(bar[0::2]) - min(bar[0::2]) for bar in bars)
    assert second == pytest.approx(2 * first)
    assert min(bars[0][0::2]) == min(bars[1][0::2])


def test_runs_of_one_minute_stand_in_their_order(tmp_path: Path) -> None:
    for command in ("verify", "train", "emit"):  # not the order of their names
        folder = tmp_path / command
        folder.mkdir()
        Stopwatch(command, [command]).record(folder, {}).save()
    assert [record.command for record in records_below(tmp_path)] == ["verify", "train", "emit"]


def test_a_record_of_an_older_release_stands_before_those_of_its_minute(tmp_path: Path) -> None:
    for folder, started in (("a", "2026-01-01 12:00:59.000001 UTC"), ("b", "2026-01-01 12:00 UTC")):
        (tmp_path / folder).mkdir()
        Record("train", folder, started, 1.0, {}, {}, tmp_path / folder).save()
    assert [record.line for record in records_below(tmp_path)] == ["b", "a"]


def test_a_pack_that_was_exported_beside_itself_stands_once(tmp_path: Path) -> None:
    for folder in ("ip/pack", "pack"):
        (tmp_path / folder).mkdir(parents=True)
        Record("verify", "verify", "2026-01-01 12:00 UTC", 1.0, {}, {}, tmp_path / folder).save()
    assert [record.folder for record in records_below(tmp_path)] == [tmp_path / "pack"]


def section(page: Page, title: str) -> ReportTable:
    return next(section.grids[0] for section in page.sections if section.title == title)


def test_every_layer_stands_with_its_format_and_its_cycles(runs: Path, tmp_path: Path) -> None:
    page = write_report(runs, tmp_path / "report.html")
    grid = section(page, "Layers")
    assert [row[:5] for row in grid.rows] == [
        ("fc1.out", "UQ(2, 6)", 16, 2500, 2400),
        ("fc2.out", "Q(4, 4)", 10, 500, 450),
        ("between the runs", None, None, 86, None),
    ]
    assert sum(row[3] for row in grid.rows) == 12344 // 4  # type: ignore[misc]
    assert sum(row[5] for row in grid.rows) == pytest.approx(100)  # type: ignore[misc]


def test_layers_of_a_program_that_jumps_have_no_cycles_of_their_own(runs: Path, tmp_path: Path) -> None:
    path = runs / "emit" / "run-emit.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["sha256"]
    for run in content["results"]["layers"]:
        run["cycles"] = run["mac_cycles"] = None
    path.write_text(json.dumps(content), encoding="utf-8")
    grid = section(write_report(runs, tmp_path / "report.html"), "Layers")
    assert [row[3] for row in grid.rows] == [None, None]


def test_numbers_of_a_column_have_equally_many_decimals() -> None:
    grid = ReportTable(("lost", "size", "n"), [(12.05, 0.5, 7), (-0.0012, 1234.5, 8), (0.46841, None, 9)])
    assert [grid.decimals(column) for column in range(3)] == [2, None, None]
    from fixedpoint_nn.report.page import text_of

    assert [text_of(row[0], 2) for row in grid.rows] == ["12.05", "0.00", "0.47"]


# ---- in a browser ----------------------------------------------------------------------------------------

WIDE = "[...document_.querySelectorAll('.wide')]"


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_reaches_beyond_the_page(width: int, runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(runs, page)
    found = asked_of(
        page,
        "{page: root.scrollWidth, "
        "beyond: [...document_.querySelectorAll('body *')].filter(e => !e.closest('.wide, figure') && "
        f"e.getBoundingClientRect().right > {width} + 0.5).map(e => e.outerHTML.slice(0, 80)), "
        f"cut: {WIDE}.filter(e => e.scrollWidth > e.clientWidth).length, "
        "letters: Math.min(...[...document_.querySelectorAll('figure svg text')].map(e => "
        "e.getBoundingClientRect().height))}",
        tmp_path,
        width=width,
    )
    assert found["page"] == width
    assert found["beyond"] == []
    assert found["letters"] >= 6  # pixels
    if width == 1280:
        assert found["cut"] == 0  # every table is whole where the screen has room for it


def test_print_fills_its_pages(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(runs, page)
    chromium(tmp_path, f"--print-to-pdf={tmp_path / 'report.pdf'}", page.as_uri())
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes()))
    assert 3 <= pages <= 7
