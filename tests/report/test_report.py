# SPDX-License-Identifier: MIT
"""The report: its records, its pictures, and the page as a browser shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.report import Record, Stopwatch, write_report
from fixedpoint_nn.report.page import ReportTable, text_of
from fixedpoint_nn.report.record import RecordError, records_below
from tests.support.browser import asked_of, chromium


def test_a_record_reads_back_as_it_was_saved(tmp_path: Path) -> None:
    record = Stopwatch("emit", ["lenet", "--word", 8]).record(
        tmp_path, {"cycles": np.int64(7), "x": np.arange(2)}
    )
    loaded = Record.load(record.save())
    assert loaded.line == "fixedpoint-nn emit lenet --word 8"
    assert loaded.results == {"cycles": 7, "x": [0, 1]}
    assert loaded.folder == tmp_path


def test_a_damaged_record_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "run-emit.json"
    path.write_text('{"command": "emit"')
    with pytest.raises(
        ValueError, match=r"is not the record of a run .*; delete it and run the command again"
    ):
        records_below(tmp_path)


def test_a_record_without_its_results_names_the_command_that_repairs_it(runs: Path, tmp_path: Path) -> None:
    path = runs / "emit" / "run-emit.json"
    content = json.loads(path.read_text())
    del content["results"]["engine"], content["sha256"]
    path.write_text(json.dumps(content))
    with pytest.raises(
        RecordError,
        match=rf"^{re.escape(str(path))} lacks what the report needs \(results has no 'engine'\); "
        r"run the command again: fixedpoint-nn emit fashion_mlp --out 'a folder'$",
    ):
        write_report(runs, tmp_path / "report.html")


def test_an_empty_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"there is no run to report in .*; run fixedpoint-nn sweep, emit or verify"
    ):
        write_report(tmp_path, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_columns_of_numbers_stand_right_and_others_left() -> None:
    grid = ReportTable(("name", "count", "holds"), [("a", 1, True), ("b", None, False)])
    assert [grid.numeric(column) for column in range(3)] == [False, True, False]
    assert [text_of(cell) for cell in (12345, 0.5, None, True, 12345.6)] == [
        "12,345",
        "0.5000",
        "–",
        "yes",
        "12,346",
    ]


def test_the_page_stands_alone_and_holds_every_section(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(runs, out)
    html = out.read_text(encoding="utf-8")
    names = re.findall(r"<h2>(.*?)</h2>", html)
    assert names == [
        "Verification",
        "Generation",
        "Training",
        "Accuracy against bits",
        "Pareto front",
        "Noise and saturation",
        "Mixed precision",
        "Engine",
        "Layers",
        "Ledger",
        "Table certificates",
        "Latency",
        "What was run",
    ]
    assert html.count('<p class="again">') == len(names)
    assert "<td>&lt;b&gt;</td>" in html  # what was generated is text, not markup
    assert not re.search(r"<(script|iframe|img|object)\b", html)
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)|url\((?!#)|@import""", html)
    identities = re.findall(r'\bid="([^"]+)"', html)
    assert len(identities) == len(set(identities))


def test_a_sweep_is_headed_by_its_metric(runs: Path, tmp_path: Path) -> None:
    (path,) = runs.rglob("run-sweep.json")
    content = json.loads(path.read_text())
    content["results"] |= {"metric": "mae", "more_is_better": False}
    path.write_text(json.dumps({key: value for key, value in content.items() if key != "sha256"}))
    write_report(runs, tmp_path / "report.html")
    assert "<h2>MAE against bits</h2>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_failed_verification_stands_on_top_in_red(runs: Path, tmp_path: Path) -> None:
    path = runs / "verify" / "run-verify.json"
    content = json.loads(path.read_text())
    content["results"] |= {"passed": False, "text": content["results"]["text"].replace("PASS", "FAIL")}
    path.write_text(json.dumps({key: value for key, value in content.items() if key != "sha256"}))
    write_report(runs, tmp_path / "report.html")
    assert re.search(
        r'<p class="verdict fail">FAIL: 4 vectors', (tmp_path / "report.html").read_text(encoding="utf-8")
    )


# ---- in a browser ----------------------------------------------------------------------------------------


def _brightness(picture: Path) -> float:
    from matplotlib.image import imread

    return float(imread(picture)[..., :3].mean())


def test_chromium_shows_it_light_and_dark(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(runs, page)
    for name, setting in (("light", 1), ("dark", 0)):
        chromium(
            tmp_path,
            f"--screenshot={tmp_path / name}.png",
            "--window-size=1000,1400",
            f"--blink-settings=preferredColorScheme={setting}",
            page.as_uri(),
        )
    assert _brightness(tmp_path / "light.png") > 0.85
    assert _brightness(tmp_path / "dark.png") < 0.25


def test_nothing_is_asked_of_the_network_and_a_phone_need_not_scroll_sideways(
    runs: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    write_report(runs, page)
    pictures = "[...document_.querySelectorAll('figure svg')]"
    found = asked_of(
        page,
        "{width: root.scrollWidth, "
        "asked: inner.performance.getEntriesByType('resource').map(entry => entry.name), "
        f"low: {pictures}.filter(svg => svg.clientHeight < 60).length}}",
        tmp_path,
        width=360,
    )
    assert found == {"width": 360, "asked": [], "low": 0}


def test_it_prints_as_a_few_pages(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(runs, page)
    chromium(tmp_path, f"--print-to-pdf={tmp_path / 'report.pdf'}", page.as_uri())
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes()))
    assert 1 <= pages <= 8
