# SPDX-License-Identifier: MIT
"""Pictures: they are written, they show what they should, and the same data gives the same file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from fixedpoint_nn.training import pictures
from fixedpoint_nn.training.history import History
from fixedpoint_nn.zoo import moons

CURVES = {"train_loss": [2.0, 1.0, 0.5], "loss": [2.1, 1.4, 1.5], "accuracy": [0.3, 0.6, 0.7]}
HISTORY = History(CURVES, best_epoch=1)
OTHER = History({"train_loss": [2.5, 2.0, 1.9]})
MATRIX = np.array([[40, 3, 0], [2, 50, 1], [0, 0, 44]])
WEIGHT = np.random.default_rng(0).standard_normal((784, 12))
IMAGE = np.random.default_rng(0).random((64, 64, 1))
TOLD = [(np.array([4.0, 6, 30, 40]), 0, 0.91), (np.array([-2.0, -1, 20, 30]), 2, 0.5)]


def boxes(path: Path, told: Any = TOLD) -> None:
    truth = np.array([[4, 5, 31, 41, 0], [-1, -1, -1, -1, -1]])
    with pictures.picture(path) as figure:
        pictures.boxes_on(figure.add_subplot(), IMAGE, told, ("coat", "bag", "boot"), truth, "a scene")


DRAWINGS: dict[str, Callable[[Path], None]] = {
    "learning curves": lambda path: pictures.learning_curves(HISTORY, path, "a network"),
    "curves of one epoch": lambda path: pictures.learning_curves(History({"train_loss": [1.0]}), path),
    "comparison": lambda path: pictures.comparison({"sgd": OTHER, "adam": HISTORY}, path),
    "confusion": lambda path: pictures.confusion(MATRIX, path, ("cat", "dog", "bird")),
    "boxes": boxes,
    "first layer": lambda path: pictures.first_layer(WEIGHT, path, count=10),
    "decision boundary": lambda path: pictures.decision_boundary(
        moons.build(), *(moons.examples("train")[0], moons.examples("train")[1] > 0), path
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_picture_is_drawn_and_drawn_again_the_same(name: str, tmp_path: Path) -> None:
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    DRAWINGS[name](first)
    DRAWINGS[name](again)
    assert first.read_bytes() == again.read_bytes()
    image = imread(first)
    assert min(image.shape[:2]) > 150
    assert image[..., :3].std() > 0.03, "an empty picture"


def test_svg_holds_its_words_and_no_date(tmp_path: Path) -> None:
    file = tmp_path / "curves.svg"
    DRAWINGS["learning curves"](file)
    assert "<dc:date>" not in file.read_text()


def test_other_data_gives_another_picture(tmp_path: Path) -> None:
    pictures.confusion(MATRIX, tmp_path / "a.png")
    pictures.confusion(MATRIX.T, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def words(drawing: Callable[[Path], None], folder: Path) -> list[str]:
    """Every text of a picture."""
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        drawing(folder / "picture.svg")
    return re.findall(r"<text[^>]*>(.*?)</text>", (folder / "picture.svg").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_letter_is_a_formula(name: str, tmp_path: Path) -> None:
    assert [word for word in words(DRAWINGS[name], tmp_path) if "$" in word or "math" in word] == []


def test_names_are_names_whatever_is_in_them(tmp_path: Path) -> None:
    name = "$\\frac{a$ \x00 <b>"
    shown = words(lambda path: pictures.learning_curves(HISTORY, path, name), tmp_path)
    assert "$\\frac{a$ \ufffd &lt;b&gt;" in shown


def test_one_epoch_has_one_mark(tmp_path: Path) -> None:
    shown = words(DRAWINGS["curves of one epoch"], tmp_path)
    assert shown[: shown.index("epoch")] == ["1"]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1)])
def test_a_boundary_shows_the_points_of_both_classes(low: int, high: int, tmp_path: Path) -> None:
    x, y = moons.examples("train")
    labels = np.where(y > 0, high, low)
    shown = words(lambda path: pictures.decision_boundary(moons.build(), x, labels, path), tmp_path)
    assert [word for word in shown if word.startswith("class")] == [f"class {low}", f"class {high}"]
    svg = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    for colour, value in zip(pictures.COLOURS[:2], (low, high), strict=True):
        points = len(re.findall(rf"<use [^>]*fill: {colour}; stroke: #ffffff", svg))
        assert points == np.count_nonzero(labels == value) + 1  # one in the legend


def test_boxes_have_their_names_and_how_sure_they_are(tmp_path: Path) -> None:
    shown = words(boxes, tmp_path)
    assert "coat 91%" in shown and "boot 50%" in shown and "a scene" in shown
    plain, other = tmp_path / "plain.png", tmp_path / "other.png"
    boxes(plain)
    boxes(other, TOLD[:1])
    assert plain.read_bytes() != other.read_bytes()
