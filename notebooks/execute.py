# SPDX-License-Identifier: MIT
"""Executing a notebook as a reader would, and comparing what it prints with what is committed.

A cell with the tag `varies` prints times or the figures of a training, which differ between machines; of
pictures only the presence is compared, because Matplotlib's releases differ by a pixel.

Such a cell may have `quick` in its metadata, {"epochs=24": "epochs=2"}: what the quick tests put in the place of
what the reader sees, so that a long training is only begun.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
SECONDS = 600


def paths() -> list[Path]:
    return sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def executed(path: Path, folder: Path, quick: bool = False) -> Any:
    """The notebook with fresh outputs; its working folder is `folder`, so that it leaves nothing here."""
    notebook = read(path)
    sources = [cell.source for cell in notebook.cells]
    for cell in notebook.cells if quick else ():
        cell.source = shortened(cell)
    client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}})
    client.execute()
    for cell, source in zip(notebook.cells, sources, strict=True):
        cell.source = source
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    return notebook


def shortened(cell: Any) -> str:
    """The cell's source with its `quick` settings."""
    source = str(cell.source)
    for usual, fewer in cell.metadata.get("quick", {}).items():
        if source.count(usual) != 1 or "varies" not in cell.metadata.get("tags", ()):
            raise ValueError(f"{usual!r} is to stand once, in a cell that varies: {source[:60]!r}")
        source = source.replace(usual, fewer)
    return source


def joined(outputs: list[Any]) -> list[Any]:
    """Pieces of one stream as one output (how they are cut is chance), and without progress bars."""
    result: list[Any] = []
    for output in outputs:
        if output.output_type == "stream" and output.name == "stderr":
            continue
        if output.output_type == "stream" and result and result[-1].output_type == "stream":
            result[-1].text += output.text
        else:
            result.append(output)
    return result


def shown(notebook: Any) -> list[tuple[str, list[str]]]:
    """(source, what it shows) of every code cell, as far as it is the same on every machine."""
    return [
        (
            cell.source,
            ["varies"] if "varies" in cell.metadata.get("tags", ()) else list(map(_essence, cell.outputs)),
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _essence(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    if any(kind.startswith("image/") for kind in output.data):
        return "a picture"
    return re.sub(r"0x[0-9a-f]+", "0x", str(output.data.get("text/plain", "")))
