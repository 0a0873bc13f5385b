# SPDX-License-Identifier: MIT
"""A real browser without a window."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def chromium(folder: Path, *arguments: str) -> str:
    """What it prints, its console among it if `--enable-logging=stderr` is asked for."""
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
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=folder)
    return done.stdout + (done.stderr if "--enable-logging=stderr" in arguments else "")


def asked_of(page: Path, question: str, folder: Path, width: int = 390, height: int = 800) -> Any:
    """What a JavaScript expression gives about a page in a frame: `inner` is its window, `root` its <html>.

    The page's own policy lets no script run in it; the frame's owner asks.
    """
    outer = folder / "outer.html"
    outer.write_text(
        f"""<iframe src="{page.as_uri()}" width="{width}" height="{height}" onload="
        const inner = this.contentWindow, document_ = inner.document, root = document_.documentElement;
        document.title = JSON.stringify({html.escape(question)})"></iframe>""",
        encoding="utf-8",
    )
    dom = chromium(folder, "--dump-dom", "--virtual-time-budget=5000", outer.as_uri())
    found = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert found is not None, dom[:500]
    return json.loads(html.unescape(found[1]))
