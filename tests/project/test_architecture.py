# SPDX-License-Identifier: MIT
"""docs/architecture.md tells of files that exist, of every room, and its picture is drawn from the same list."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import fixedpoint_nn

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "fixedpoint_nn"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_]+(?:/[\w.]+)+|[a-z_]+/)`", PAGE)))
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists())
TESTED = [
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "reference_rtl").glob("*.md"),
]
FILE = re.compile(
    r"(?<![\w./])((?:fixedpoint_nn|tests|reference_rtl|benchmarks|notebooks)/[\w/]+\.(?:py|vh|v|ipynb))\b"
)
NOT_OURS = {"vectors/input.mem"}  # a file of a pack


@pytest.mark.parametrize("name", sorted(set(NAMED) - NOT_OURS))
def test_what_the_page_names_exists(name: str) -> None:
    assert any((place / name).exists() for place in (PACKAGE, ROOT, ROOT / "hardware")), name


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_in_the_table_and_in_the_picture(room: str) -> None:
    assert f"`{room}/" in PAGE
    assert f">{room}/" in (ROOT / "docs" / "architecture.svg").read_text("utf-8")


def test_the_picture_is_what_the_script_draws() -> None:
    draw = runpy.run_path(str(ROOT / "docs" / "architecture.py"))["svg"]
    assert (ROOT / "docs" / "architecture.svg").read_text("utf-8") == draw()


def test_ten_questions_about_where_to_change_something_are_answered() -> None:
    answers = PAGE.split("## Where do I change")[1]
    assert len([line for line in answers.splitlines() if line.startswith("| ") and "`" in line]) >= 10


@pytest.mark.parametrize("page", TESTED, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_and_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    modules = set(re.findall(r"fixedpoint_nn(?:\.[a-z0-9_]+)+", text))
    missing = {name for name in modules if not module_exists(name)}
    files = set(FILE.findall(text))
    missing |= {name for name in files if not (ROOT / name).exists()}
    assert missing == set()


def module_exists(name: str) -> bool:
    """A module or package, or a name inside of one, or a public name of the package itself."""
    if name.removeprefix("fixedpoint_nn.") in fixedpoint_nn.__all__:
        return True
    path = ROOT / name.replace(".", "/")
    found = path.is_dir() or path.with_suffix(".py").exists()
    return found or ("." in name and module_exists(name.rpartition(".")[0]) and name.count(".") > 1)
