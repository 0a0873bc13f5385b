# SPDX-License-Identifier: MIT
"""Every public module, class and function says what it does."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "fixedpoint_nn"


def undocumented(path: Path) -> Iterator[str]:
    """Public names of a file that have no docstring; what a class with a leading underscore holds is private."""
    tree = ast.parse(path.read_text("utf-8"))
    name = str(path.relative_to(PACKAGE))
    if not ast.get_docstring(tree):
        yield name
    yield from _inside(tree, f"{name}: ")


def _inside(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and child.name[0] != "_":
            if not ast.get_docstring(child):
                yield f"{prefix}{child.name}"
            if isinstance(child, ast.ClassDef):
                yield from _inside(child, f"{prefix}{child.name}.")


def rooms() -> list[str]:
    return sorted({str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")})


@pytest.mark.parametrize("room", rooms())
def test_every_public_name_has_a_docstring(room: str) -> None:
    missing = [name for path in sorted((PACKAGE / room).glob("*.py")) for name in undocumented(path)]
    assert not missing, "\n".join(["without a docstring:", *missing])


def test_a_name_without_a_docstring_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    (tmp_path / "room.py").write_text(
        'def told():\n    "says"\ndef silent(): pass\ndef _own(): pass\n'
        "class Plain:\n    def method(self): pass\n    def __len__(self): pass\n"
        "class _Hidden:\n    def method(self): pass\n"
    )
    found = Counter(undocumented(tmp_path / "room.py"))
    assert found == Counter(["room.py", "room.py: silent", "room.py: Plain", "room.py: Plain.method"])
