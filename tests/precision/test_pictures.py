# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from fixedpoint_nn.precision import Recipe, calibrate, sweep
from fixedpoint_nn.precision.metric import Metric
from fixedpoint_nn.precision.mixed import search
from fixedpoint_nn.precision.pictures import (
    accuracy_against_bits,
    float_against_fixed,
    noise_by_layer,
    pareto_front,
    shortened,
    weight_histograms,
)
from tests.precision.test_sweep import problem

NET, DATA = problem()
PLAN = calibrate(NET, DATA[0], word=4)


def swept(path: Path, axis: str = "word") -> None:
    found = sweep(NET, DATA, (3, 8), axes=(axis,), store=":memory:", progress=False)
    accuracy_against_bits(found, path, axis, title="a network")


def noise(path: Path) -> None:
    noise_by_layer(sweep(NET, DATA, (3, 8), store=":memory:", progress=False), path, title="a network")


def learned_front(path: Path) -> None:
    found = search(NET, DATA, progress=False, base=Recipe(4))
    pareto_front(found, path, learned=(found.front, 0.9))


DRAWN: dict[str, Callable[[Path], None]] = {
    "accuracy against bits": swept,
    "accuracy of the roundings": lambda path: swept(path, "rounding"),
    "noise by layer": noise,
    "pareto front": lambda path: pareto_front(search(NET, DATA, progress=False, base=Recipe(4)), path),
    "learned front": learned_front,
    "weight histograms": lambda path: weight_histograms(NET, PLAN, path, "a network"),
    "histograms per channel": lambda path: weight_histograms(
        NET, calibrate(NET, DATA[0], per_channel=True), path
    ),
    "float against fixed": lambda path: float_against_fixed(NET, PLAN, DATA[0], path),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_drawn_and_is_the_same_every_time(name: str, tmp_path: Path) -> None:
    DRAWN[name](tmp_path / "first.png")
    DRAWN[name](tmp_path / "again.png")
    image = matplotlib.image.imread(tmp_path / "first.png")
    assert min(image.shape[:2]) > 150
    shares = [np.mean(np.all(image[..., :3] == colour, axis=-1)) for colour in (1.0, image[5, 5, :3])]
    assert shares[0] < 0.995  # it is not blank
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def words(drawing: Callable[[Path], None], folder: Path) -> list[str]:
    """Every text of a picture."""
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        drawing(folder / "picture.svg")
    found = re.findall(r"<text[^>]*>(.*?)</text>", (folder / "picture.svg").read_text(encoding="utf-8"))
    return [text.replace("\N{MINUS SIGN}", "-") for text in found]


@pytest.mark.parametrize("name", DRAWN)
def test_no_letter_is_a_formula(name: str, tmp_path: Path) -> None:
    assert [word for word in words(DRAWN[name], tmp_path) if "$" in word or "math" in word] == []


def test_accuracy_goes_from_nothing_to_a_hundred_percent(tmp_path: Path) -> None:
    shown = words(swept, tmp_path)
    marks = [int(word) for word in shown[shown.index("word length, bits") :] if word.isdigit()]
    assert (min(marks), max(marks)) == (0, 100)


@pytest.mark.parametrize(
    ("metric", "label"),
    [(Metric.ACCURACY, "points of accuracy lost"), (Metric.NLL, "% of the float network's lost")],
)
def test_a_front_says_what_is_lost(metric: Metric, label: str, tmp_path: Path) -> None:
    found = search(NET, DATA, progress=False, base=Recipe(4))
    assert label in words(lambda path: pareto_front(found, path, metric=metric), tmp_path)


def test_a_long_path_keeps_its_ends() -> None:
    path = "stage1.block1.body.conv1.weight.and.what.is.inside.of.it.out"
    assert shortened(path) == "stage1.block1.body.co....is.inside.of.it.out"
    assert shortened("fc.out") == "fc.out"
