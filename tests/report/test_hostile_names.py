# SPDX-License-Identifier: MIT
"""Whatever names, texts and pictures runs bring along: the page shows them as letters, and nothing of them runs."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fixedpoint_nn import layers, zoo
from fixedpoint_nn.cli import main
from fixedpoint_nn.network.serialization import load, save
from fixedpoint_nn.precision import calibrate
from fixedpoint_nn.report import write_report
from fixedpoint_nn.report.svg import ELEMENTS
from tests.support.browser import asked_of, chromium

GOLDEN = Path(__file__).parents[2] / "golden_vectors"
NAMES = (
    "<script>parent.ran = window.ran = 1</script>",
    "</style></title></svg><img src=x onerror=parent.ran=1>",
    '" onmouseover="parent.ran=1" x="',
    "]]><svg onload=parent.ran=1>",
    "javascript:parent.ran=1",
    "{{ 7 * 7 }} $\\frac{$ %s {0} \x00\x1b[2J \u202e \ud800",
)
HTML = set(
    re.findall(
        r"\w+",
        "html head meta title link style body header main footer nav section h1 h2 h3 p a pre code figure div "
        "table caption thead tbody tr th td span strong",
    )
)
ATTRIBUTES = re.compile(r"(?!on)[a-zA-Z0-9-]+")


class Tags(HTMLParser):
    """Every start of an element in a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def spoilt(value: Any, name: str) -> Any:
    """Every text replaced, and a key added to each mapping of names to numbers."""
    if isinstance(value, str):
        return name
    if isinstance(value, list):
        return [spoilt(item, name) for item in value]
    if isinstance(value, dict):
        kept = {key: spoilt(item, name) for key, item in value.items()}
        return kept | ({name: 1.5} if all(isinstance(item, int | float) for item in value.values()) else {})
    return value


def spoil(runs: Path, name: str) -> None:
    for path in runs.rglob("run-*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        content = {
            key: value if key == "command" else spoilt(value, name)
            for key, value in content.items()
            if key != "sha256"
        }
        path.write_text(json.dumps(content), encoding="utf-8")


def demand_harmless(page: str) -> Tags:
    tags = Tags(page)
    for tag, attributes in tags.found:
        assert tag in HTML | {element.lower() for element in ELEMENTS}, tag
        assert all(ATTRIBUTES.fullmatch(name) for name in attributes), attributes
        assert (attributes.get("href") or "#").startswith(("#", "data:,", "data:image/png;")), attributes
        assert "style" not in attributes
    identities = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(identities) == len(set(identities))
    assert not re.search("[\x00\x1b\u202e]", page)
    return tags


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_a_hostile_name_in_every_field_of_every_record_is_text(name: str, runs: Path, tmp_path: Path) -> None:
    spoil(runs, name)
    write_report(runs, tmp_path / "report.html")
    shown = demand_harmless((tmp_path / "report.html").read_text(encoding="utf-8")).text
    seen = re.sub("[\x00\x1b\u202e\ud800]", "\ufffd", name)
    assert shown.count(seen) > 20


@pytest.mark.filterwarnings("ignore:constrained_layout")
def test_hostile_names_in_a_network_file_and_a_plan_go_through_every_command_as_text(tmp_path: Path) -> None:
    name = f'{NAMES[0]}"$]]>'
    parts = {f"{name}{number}": part for number, part in enumerate(zoo.load("moons").parts.values())}
    file, runs = tmp_path / "net.safetensors", tmp_path / "runs"
    save(layers.Sequential(parts=parts), file, {"network": "moons", "command": name})
    plan = tmp_path / "plan.json"
    calibrate(load(file), zoo.samples("moons", 50), word=8).save(plan)
    assert json.dumps(name)[1:-1] in plan.read_text()
    few = ["--vectors", "1", "--corners", "0"]
    assert main(["emit", str(file), "--plan", str(plan), *few, "--out", str(runs / "pack")]) == 0
    assert main(["sweep", str(file), "--words", "8", "--limit", "50", "--out", str(runs / "sweep")]) == 0
    assert main(["report", str(runs), "--out", str(tmp_path / "report.html")]) == 0
    tags = demand_harmless((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert tags.text.count(f"{name}1.out") == 2  # in the ledger and in the picture of noise


def test_the_network_name_of_a_hostile_manifest_is_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = shutil.copytree(GOLDEN / "moons", tmp_path / "runs" / "pack")
    about = json.loads((pack / "manifest.json").read_text())
    (pack / "manifest.json").write_text(json.dumps(about | {"network": NAMES[1]}))
    main(["verify", str(pack)])
    capsys.readouterr()
    assert main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "report.html")]) == 0
    assert NAMES[1] in demand_harmless((tmp_path / "report.html").read_text(encoding="utf-8")).text


# ---- in a browser ----------------------------------------------------------------------------------------

REFUSED = re.compile(r"Content Security Policy|Refused to")


def test_a_page_in_use_breaks_none_of_its_rules_and_the_browser_would_say_so(
    runs: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    write_report(runs, page)
    said = chromium(tmp_path, "--enable-logging=stderr", "--dump-dom", page.as_uri())
    assert "</html>" in said
    assert not REFUSED.search(said)
    assert asked_of(
        page, "inner.getComputedStyle(document_.querySelector('table')).borderCollapse", tmp_path
    ) == ("collapse")  # the sheet of styles is in force
    for line in ('<p style="color: red">', "<script>1</script>", '<img src="http://localhost:9/x.png">'):
        page.write_text(page.read_text(encoding="utf-8").replace("<main>", f"<main>{line}"), encoding="utf-8")
        assert REFUSED.search(chromium(tmp_path, "--enable-logging=stderr", "--dump-dom", page.as_uri()))


@pytest.mark.filterwarnings("ignore:Glyph")
def test_nothing_that_runs_bring_along_runs_in_a_browser(runs: Path, tmp_path: Path) -> None:
    spoil(runs, "".join(NAMES[:5]))
    (runs / "sweep" / "accuracy.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" onload="parent.ran=1"><script>parent.ran=1</script>'
        '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml" onload="parent.ran=1"/></foreignObject>'
        '<image href="x" onerror="parent.ran=1"/></svg>'
    )
    page = tmp_path / "report.html"
    write_report(runs, page)
    ran = "[window.ran === undefined, inner.ran === undefined, document_.scripts.length]"
    assert asked_of(page, ran, tmp_path) == [True, True, 0]
    unguarded = page.read_text(encoding="utf-8").replace(
        "http-equiv", "name"
    )  # without its policy, by escaping alone
    page.write_text(unguarded, encoding="utf-8")
    assert asked_of(page, ran, tmp_path) == [True, True, 0]
    page.write_text(unguarded.replace("<main>", "<main><img src=x onerror=parent.ran=1>"), encoding="utf-8")
    assert asked_of(page, ran, tmp_path) == [False, True, 0]  # what would run is noticed
