# SPDX-License-Identifier: MIT
"""The documentation is true, as far as a machine can tell: code runs, links lead somewhere, targets exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import page_files

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("reference_rtl/*.md")),
]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)")
TITLED = re.compile(r'^```\w+ title="([\w.]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def python_of(page: str) -> str:
    """The page with all but its Python made blank, so that a traceback names the page's own lines."""
    lines, language = [], None
    for line in page.splitlines():
        fence = FENCE.match(line)
        if fence:
            language = fence["language"] if language is None else None
            lines.append("")
        else:
            lines.append(line if language == "python" else "")
    assert language is None, "a code block is not closed"
    return "\n".join(lines) + "\n"


# Pages that train, or compile and simulate large engines, for a while.
SLOW = {"board.md", "detect.md", "lanes.md", "resnet50.md", "stream-weights.md"}


def test_only_python_blocks_are_run_and_keep_their_lines() -> None:
    page = "text\n```python\na = 1\n```\n```sh\nmake\n```\nmore\n```python\nb = a\n```\n"
    assert python_of(page) == "\n\na = 1\n\n\n\n\n\n\nb = a\n\n"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            marks=[pytest.mark.peers] * (page.name in page_files.OF_PEERS)
            + [pytest.mark.slow] * (page.name in SLOW),
        )
        for page in PAGES
        if python_of(page.read_text("utf-8")).strip()
    ],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    page_files.write(str(page.relative_to(ROOT)), tmp_path)
    for name, content in TITLED.findall(page.read_text("utf-8")):
        (tmp_path / name).write_text(content, "utf-8")
    script = tmp_path / f"{page.stem}_page.py"  # `tflite.py` would stand before the package
    script.write_text(python_of(page.read_text("utf-8")), "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    run = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stderr
    for text in PRINTED.findall(page.read_text("utf-8")):
        assert text in run.stdout, f"the page says that this is printed:\n{text}\nbut this is:\n{run.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    files = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in files if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^ *|`)make ([a-z][\w-]*)", page.read_text("utf-8"), re.MULTILINE))
    assert named - targets == set()
