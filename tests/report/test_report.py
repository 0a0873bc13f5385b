# SPDX-License-Identifier: MIT
"""The report: its records, its pictures, and the page as a browser shows it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.report import Record, Stopwatch, write_report
from fixedpoint_nn.report.page import Grid, text_of
from fixedpoint_nn.report.record import records_below
from fixedpoint_nn.training.pictures import picture as figure_in

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATHS = ("input", "fc1.out", "fc2.out")


def _point(word: int) -> dict[str, object]:
    score = 0.9 - 0.8 * 2.0 ** (2 - word)
    return {
        "axis": "word",
        "value": str(word),
        "method": "ptq",
        "metric": score,
        "low": score - 0.01,
        "high": score + 0.01,
        "loss": 90 - 100 * score,
        "changed": 10,
        "predictions": 1000,
        "saturated": 4,
        "wrapped": 0,
        "weight_bits": 1000 * word,
        "bit_operations": 1000 * word**2,
        "bram_blocks": word,
        "seconds": 0.1,
    }


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder as the commands leave it, with a value of every kind that is shown."""
    folder = tmp_path / "runs"
    for command, results in {
        "train": {
            "network": "fashion_mlp",
            "epochs": 3,
            "seed": 0,
            "seconds": 4.2,
            "result": {"accuracy": 0.9},
        },
        "sweep": {
            "network": "fashion_mlp",
            "metric": "accuracy",
            "more_is_better": True,
            "float_score": 0.91,
            "points": [_point(word) for word in (2, 4, 8, 16)],
            "mixed": {
                "metric": "accuracy",
                "front": [
                    {"bit_operations": 9, "weight_bits": 3, "score": 0.8, "loss": 10.0, "words": "fc1:2"}
                ],
                "tried": 40,
                "hypervolume": 0.9,
                "uniform_hypervolume": 0.8,
            },
        },
        "emit": {
            "network": "fashion_mlp",
            "engine": {"lanes": 8, "weight_width": 8},
            "cycles": 12345,
            "size": {"family": "Xilinx 7", "luts": 1500, "flip_flops": 2000, "dsps": 8, "block_rams": 3},
            "vectors": 4,
            "images": [{"name": "weights", "words": 512, "bits": 64}],
            "ledger": [
                {
                    "path": path,
                    "format": "Q(2, 6)",
                    "values": 100,
                    "saturated": 1,
                    "wrapped": 0,
                    "rounded": 99,
                    "headroom_bits": -1,
                    "first": [0, 3],
                }
                for path in PATHS
            ],
            "tables": [
                {
                    "path": "tanh.table",
                    "function": "tanh",
                    "input": "Q(3, 5)",
                    "output": "Q(1, 7)",
                    "entries": 256,
                    "max_error_lsb": 0.5,
                    "monotonic": True,
                    "symmetric": None,
                }
            ],
            "latency": {
                "cycles": 3086,
                "clock_mhz": 100,
                "repeats": 9,
                "milliseconds": {"engine": 0.03086, "NumPy": 1.5},
            },
        },
        "verify": {
            "network": "fashion_mlp",
            "passed": True,
            "text": "PASS: 4 vectors, 40 words, 12345 cycles",
            "simulator": "Icarus Verilog 12.0",
        },
        "generate": {"network": "fashion_mlp", "verilog": ["élodie", "<b>"], "model": ["élodie", "<b>"]},
    }.items():
        (folder / command).mkdir(parents=True)
        for picture in ("accuracy", "noise", "pareto") if command == "sweep" else ():
            with figure_in(folder / command / f"{picture}.svg") as figure:
                figure.add_subplot().imshow(np.eye(3))
        Stopwatch(command, ["fashion_mlp", "--out", "a folder"]).record(folder / command, results).save()
    return folder


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
    del content["results"]["engine"]
    path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"lacks what the report needs .*; run the command again: fixedpoint-nn emit"
    ):
        write_report(runs, tmp_path / "report.html")


def test_an_empty_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"there is no run to report in .*; run fixedpoint-nn sweep, emit or verify"
    ):
        write_report(tmp_path, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_columns_of_numbers_stand_right_and_others_left() -> None:
    grid = Grid(("name", "count", "holds"), [("a", 1, True), ("b", None, False)])
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


def test_a_failed_verification_stands_on_top_in_red(runs: Path, tmp_path: Path) -> None:
    path = runs / "verify" / "run-verify.json"
    path.write_text(path.read_text().replace("true", "false").replace("PASS", "FAIL"))
    write_report(runs, tmp_path / "report.html")
    assert re.search(
        r'<p class="verdict fail">FAIL: 4 vectors', (tmp_path / "report.html").read_text(encoding="utf-8")
    )


# ---- in a browser ----------------------------------------------------------------------------------------


def _chromium(folder: Path, *arguments: str) -> str:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine; apt-get install chromium")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
        f"--user-data-dir={folder / 'profile'}",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=folder).stdout


def _brightness(picture: Path) -> float:
    from matplotlib.image import imread

    return float(imread(picture)[..., :3].mean())


def test_chromium_shows_it_light_and_dark(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(runs, page)
    for name, setting in (("light", 1), ("dark", 0)):
        _chromium(
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
    (tmp_path / "phone.html").write_text(
        f"""<iframe id="phone" src="{page.as_uri()}" width="360" height="700" onload="
        const inner = this.contentWindow, root = inner.document.documentElement;
        const asked = inner.performance.getEntriesByType('resource').map(entry => entry.name);
        const pictures = [...inner.document.querySelectorAll('figure svg')];
        const low = pictures.filter(svg => svg.clientHeight < 60).length;
        document.title = JSON.stringify({{width: root.scrollWidth, asked, low}})"></iframe>"""
    )
    dom = _chromium(tmp_path, "--dump-dom", "--virtual-time-budget=5000", (tmp_path / "phone.html").as_uri())
    found = re.search(r"<title>(.*?)</title>", dom)
    assert found is not None, dom[:500]
    assert json.loads(found[1]) == {"width": 360, "asked": [], "low": 0}


def test_it_prints_as_a_few_pages(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(runs, page)
    _chromium(tmp_path, f"--print-to-pdf={tmp_path / 'report.pdf'}", page.as_uri())
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes()))
    assert 1 <= pages <= 8
