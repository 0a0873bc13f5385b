# SPDX-License-Identifier: MIT
"""A hook of MkDocs: pages that stand outside of docs/ join the site, and links between all of them are mended.

In the repository a link is relative to its file (`../reference_rtl/README.md`); in the site docs/ is the root.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "fixedpoint_nn/hardware/compiler/README.md",
    "reference_rtl/README.md",
    "reference_rtl/engine.svg",
)
LINK = re.compile(r"(\]\()([^)\s:#]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages, under the path that they have in the repository."""
    for path in OUTSIDE:
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make the repository's links those of the site; one that leads to no page stays, and fails the build."""
    here = page.file.src_uri
    return LINK.sub(lambda link: f"{link[1]}{in_site(here, link[2])}{link[3]}", markdown)


def in_site(page: str, link: str) -> str:
    """The link of a page (by its path in the site), relative to that page in the site."""
    place = page if page in OUTSIDE else f"docs/{page}"
    target = posixpath.normpath(posixpath.join(posixpath.dirname(place), link))
    target = target if target in OUTSIDE else posixpath.relpath(target, "docs")
    return posixpath.relpath(target, posixpath.dirname(page) or ".")
