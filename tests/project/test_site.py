# SPDX-License-Identifier: MIT
"""The site builds without a warning, its reference names every public name, and its messages are those of the code."""

from __future__ import annotations

import ast
import importlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.page import PAGE, page
from benchmarks.results import RESULTS, read

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = "".join(page.read_text("utf-8") for page in sorted((ROOT / "docs" / "reference").glob("*.md")))
ERRORS = runpy.run_path(str(ROOT / "docs" / "errors.py"))
MESSAGES = [message for messages in ERRORS["sections"]().values() for message in messages]
PUBLIC = ("", ".data", ".hardware", ".layers", ".precision", ".training", ".zoo")
needs_mkdocs = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="the site is built by Python 3.11 or newer"
)


def build(config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site into the folder, as `make docs` does (with -q MkDocs would not count warnings)."""
    pytest.importorskip("mkdocstrings", reason="the site needs the extra `docs`")
    command = [sys.executable, "-m", "mkdocs", "build", "-f", str(config), "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300)


@needs_mkdocs
def test_the_site_builds_without_a_warning_and_holds_every_page(tmp_path: Path) -> None:
    done = build(ROOT / "mkdocs.yml", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = {page.relative_to(ROOT / "docs").with_suffix("") for page in (ROOT / "docs").rglob("*.md")}
    built = {page.relative_to(tmp_path).with_suffix("") for page in tmp_path.rglob("*.html")}
    assert pages <= built
    assert "calibrate" in (tmp_path / "reference" / "precision.html").read_text("utf-8")
    home = (tmp_path / "index.html").read_text("utf-8")
    assert (
        re.findall(r'(?:src|<link [^>]*href)="(?:https?:)?//', home) == []
    )  # nothing is loaded from elsewhere


@needs_mkdocs
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[a](nowhere.md)", "contains a link 'nowhere.md', but the target is not found"),
        ("[a](other.md#nowhere)", "does not contain an anchor '#nowhere'"),
    ],
)
def test_a_dead_link_fails_the_build(text: str, complaint: str, tmp_path: Path) -> None:
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    strict = re.search(r"^validation:\n(?: .*\n)+", config, re.MULTILINE)
    assert strict is not None
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Home\n\n{text}\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n")
    (tmp_path / "mkdocs.yml").write_text(
        f"site_name: x\nstrict: true\nuse_directory_urls: false\n{strict[0]}"
    )
    assert "strict: true\n" in config
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    assert complaint in done.stderr


@needs_mkdocs
def test_a_docstring_looks_as_it_was_written() -> None:
    pytest.importorskip("griffe", reason="the site needs the extra `docs`")
    markdown = runpy.run_path(str(ROOT / "docs" / "docstring_markup.py"))["markdown"]
    assert markdown("z*h of `a*b`, [0 0]\n\n>>> x * x\n4\n\nn_out") == (
        "z\\*h of `a*b`, \\[0 0]\n\n```pycon\n>>> x * x\n4\n```\n\nn\\_out"
    )


@pytest.mark.parametrize("room", PUBLIC)
def test_the_reference_names_every_public_name(room: str) -> None:
    package = importlib.import_module(f"fixedpoint_nn{room}")
    described = set(re.findall(r"^::: fixedpoint_nn\.(?:\w+\.)*(\w+)$", REFERENCE, re.MULTILINE))
    described |= set(re.findall(r"`(?:\w+\.)+(\w+)\(\w*\)`", REFERENCE))
    modules = {name for name in package.__all__ if type(getattr(package, name)).__name__ == "module"}
    assert set(package.__all__) - modules - {"__version__"} - described == set()


@pytest.mark.parametrize("name", re.findall(r"^::: (fixedpoint_nn\.\S+)$", REFERENCE, re.MULTILINE))
def test_what_the_reference_describes_exists(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert hasattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("heading", re.findall(r"heading: (fixedpoint_nn\.\S+)$", REFERENCE, re.MULTILINE))
def test_a_heading_is_a_way_to_import_the_name(heading: str) -> None:
    module, _, attribute = heading.rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute))


def templates(path: Path) -> set[str]:
    """All texts of a module, with {} in the place of values."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            found.add("".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values))
    return found


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: f"{message.module}: {message.text[:30]}")
def test_a_message_of_the_page_is_one_of_the_code(message: tuple[str, str, str, str]) -> None:
    module, text, cause, cure = message
    assert re.sub(r"\{\w+\}", "{}", text) in templates(ROOT / "fixedpoint_nn" / module)
    assert cause.endswith(".")
    assert cure.endswith(".")


def test_no_message_stands_twice_and_there_are_forty() -> None:
    assert len({(message.module, message.text) for message in MESSAGES}) == len(MESSAGES) >= 40


def test_the_page_of_errors_is_what_the_script_writes() -> None:
    assert (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8") == ERRORS["page"]()


def test_the_page_of_performance_is_made_from_the_results() -> None:
    results = read(RESULTS)
    assert PAGE.read_text("utf-8") == page(results)
    for part in results.values():
        assert {"date", "processor", "clock", "versions", "comparisons"} <= set(part)


def test_the_comparison_has_the_table_of_the_readme() -> None:
    def table(page: Path) -> list[str]:
        rows = page.read_text("utf-8").split("| | what it is |")[1].split("\n\n")[0].splitlines()
        return [re.sub(r"\]\([^)]*\)", "]", row) for row in rows]

    rows = table(ROOT / "README.md")
    assert len(rows) >= 8
    assert table(ROOT / "docs" / "explanation" / "comparison.md") == rows
