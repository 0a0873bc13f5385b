# SPDX-License-Identifier: MIT
"""A page is about one network, or says of each part which network it is of."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import main
from fixedpoint_nn.network.serialization import identity, load, save
from fixedpoint_nn.network.tree import parameters
from fixedpoint_nn.report import write_report

GOLDEN = Path(__file__).parents[2] / "golden_vectors"
FIRST, SECOND = "ab" * 32, "cd" * 32


def tell(runs: Path, **weights: str) -> None:
    """State the weights of a command's record."""
    for command, value in weights.items():
        path = runs / command / f"run-{command}.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["results"]["weights"] = value
        del content["sha256"]  # that of a file which nobody changed
        path.write_text(json.dumps(content), encoding="utf-8")


def notice(html: str) -> str:
    found = re.search(r'<p class="notice[^>]*>(.*?)</p>', html)
    assert found is not None
    return found[1]


def test_runs_of_one_network_are_one_part_and_the_page_tells_its_weights(runs: Path, tmp_path: Path) -> None:
    tell(runs, train=FIRST, sweep=FIRST, emit=FIRST, verify=FIRST, generate=FIRST)
    page = write_report(runs, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(page.parts) == 1
    assert notice(html) == (
        "All of it is of one network, fashion_mlp: the SHA-256 of its weights begins with abababababab."
    )
    assert 'class="part"' not in html


def test_a_sweep_of_other_weights_stands_in_a_part_of_its_own(runs: Path, tmp_path: Path) -> None:
    tell(runs, train=SECOND, sweep=FIRST, emit=FIRST, verify=FIRST, generate=FIRST)
    page = write_report(runs, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [(part.title, [section.title for section in part.sections][:2]) for part in page.parts] == [
        ("fashion_mlp, weights abababababab", ["Verification", "Generation"]),
        ("fashion_mlp, weights cdcdcdcdcdcd", ["Training"]),
    ]
    assert notice(html) == (
        "This page is about 2 networks, each in a part of its own: fashion_mlp, weights abababababab; fashion_mlp, "
        "weights cdcdcdcdcdcd. What is measured of one says nothing about another."
    )
    assert page.verdicts[0].text.startswith("fashion_mlp, weights abababababab: PASS")
    assert html.count('<h2 class="part">') == 2
    assert "<h3>Training</h3>" in html


def test_runs_that_do_not_tell_their_weights_are_not_said_to_be_of_one_network(
    runs: Path, tmp_path: Path
) -> None:
    write_report(runs, tmp_path / "report.html")
    assert notice((tmp_path / "report.html").read_text(encoding="utf-8")) == (
        "These runs of fashion_mlp do not tell which weights they took, so nothing says that they are of one network; "
        "run them again to see it."
    )


def test_a_pack_that_tells_no_weights_is_known_by_its_images(tmp_path: Path) -> None:
    pack = shutil.copytree(GOLDEN / "moons", tmp_path / "runs" / "pack")
    assert main(["verify", str(pack)]) == 0
    page = write_report(tmp_path / "runs", tmp_path / "report.html")
    assert re.fullmatch(r"moons, images [0-9a-f]{12}", page.parts[0].title)
    assert page.notice.startswith("A pack that does not tell the float weights which it was made of; ")


def test_every_command_tells_the_weights_that_it_took(tmp_path: Path) -> None:
    runs, file = tmp_path / "runs", tmp_path / "runs" / "net" / "moons.safetensors"
    few = ["--vectors", "1", "--corners", "0"]
    assert main(["train", "moons", "--epochs", "1", "--seed", "3", "--out", str(file)]) == 0
    assert main(["sweep", str(file), "--words", "8", "--limit", "50", "--out", str(runs / "sweep")]) == 0
    assert main(["emit", str(file), "--word", "8", *few, "--out", str(runs / "pack")]) == 0
    assert main(["verify", str(runs / "pack")]) == 0
    page = write_report(runs, tmp_path / "report.html")
    assert [part.title for part in page.parts] == [f"moons, weights {_of(file)}"]
    assert page.notice == (
        f"All of it is of one network, moons: the SHA-256 of its weights begins with {_of(file)}, "
        f"which come from {file}."
    )
    assert _of(file) != identity(zoo.load("moons"))[:12]


def _of(file: Path) -> str:
    return identity(load(file))[:12]


@pytest.mark.parametrize("name", ["moons", "names_lstm"])
def test_the_identity_of_a_network_is_that_of_its_numbers(name: str, tmp_path: Path) -> None:
    net = zoo.load(name)
    save(net, tmp_path / "net", {"other": "metadata"})
    assert identity(load(tmp_path / "net")) == identity(net) == identity(zoo.load(name))
    values = next(iter(parameters(net).values())).data
    values.reshape(-1)[-1] *= -1
    assert identity(net) != identity(zoo.load(name))
