# SPDX-License-Identifier: MIT
"""The text of the Verilog: names of instances, what comments refer to, length of lines, the language of the file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.hardware.isa.instructions import INSTRUCTIONS, JumpEqual, Run
from fixedpoint_nn.hardware.isa.reference_tables import markdown
from fixedpoint_nn.hardware.isa.verilog_header import header
from tests.support.engine_bench import RTL

FILES = sorted(path for path in RTL.rglob("*") if path.suffix in {".v", ".vh", ".vlt", ".cpp"})
VERILOG = [path for path in FILES if path.suffix == ".v"]
DIALECT = "// SystemVerilog-2005 for `$fatal`, else Verilog-2005.\n"
MODULES = {name for path in VERILOG for name in re.findall(r"^module (\w+)", path.read_text(), re.M)}


def named(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(RTL)))


def without_comments(text: str) -> str:
    return re.sub(r"//.*", "", text)


def comments(text: str) -> str:
    """All comments of a file as one text: a name may be broken by the end of a line."""
    return "\n".join(re.findall(r"//(.*)", text))


def instances(text: str) -> Iterator[tuple[str, str]]:
    """(module, name) of each instance: `module name (` or `module #(...) name (`, at the beginning of a line."""
    for found in re.finditer(rf"^ +({'|'.join(sorted(MODULES))}) +(#\(|\w+ \()", text, re.M):
        end = found.end()
        if found[2] == "#(":
            depth = 1
            while depth:
                depth += {"(": 1, ")": -1}.get(text[end], 0)
                end += 1
        else:
            end = found.start(2)
        yield found[1], text[end:].split("(")[0].strip()


def modules(text: str) -> list[str]:
    return re.split(r"^endmodule", text, flags=re.M)[:-1]


@named(VERILOG)
def test_every_instance_has_a_name_of_its_own_that_begins_with_u(path: Path) -> None:
    for body in modules(without_comments(path.read_text())):
        names = [name for _, name in instances(body)]
        assert [name for name in names if not re.fullmatch(r"u_[a-z][a-z0-9_]*", name)] == []
        assert len(set(names)) == len(names)
        assert not set(names) & MODULES


def test_the_instances_of_the_engine_are_all_seen() -> None:
    found = list(instances(without_comments((RTL / "engine.v").read_text())))
    assert found == [
        *((name, f"u_{name}") for name in ("sequencer", "loop_nest", "lane", "product_pair", "group_sum")),
        *((name, f"u_{name}") for name in ("drain", "requantize", "noise")),
        *((name, f"u_{name}") for name in ("write_back", "argmax", "status", "activation_memory")),
        ("memory", "u_program_memory"),
        ("weight_window", "u_weight_window"),
        *(("memory", f"u_{name}_memory") for name in ("weight", "parameter", "table")),
    ]
    benches = [path for path in VERILOG if path.parent.name == "tb" and path.stem.endswith("_tb")]
    assert all(list(instances(without_comments(path.read_text()))) for path in benches)


def test_an_instance_with_another_name_is_seen() -> None:
    text = "module a (\n);\n    lane #(.WIDTH((1)), .B(2)) lane (\n    );\n    noise soon (.clock(clock));\nendmodule\n"
    assert list(instances(text)) == [("lane", "lane"), ("noise", "soon")]


def missing(text: str) -> list[str]:
    """What comments name and is not there: files, and the Python twins inside of them."""
    lost = []
    for name in re.findall(r"[\w/]+\.(?:py|vh|vlt|cpp|md|v)\b", text):
        folders = (RTL, RTL / "formal", RTL / "tb", RTL / "board", RTL / "board" / "tb", RTL.parent)
        if not any((folder / name).is_file() for folder in folders):
            lost.append(name)
    for names, file in re.findall(r"((?:`[\w.]+`(?:, | and )?)+) in ([\w/]+\.py)", text):
        there = defined(RTL.parent / file) if (RTL.parent / file).is_file() else set()
        lost += [f"{name} in {file}" for name in re.findall(r"`([\w.]+)`", names) if name not in there]
    lost += [f"numpy.{name}" for name in re.findall(r"\bnumpy\.(\w+)", text) if not hasattr(np, name)]
    return lost


def defined(path: Path) -> set[str]:
    """Functions, classes and `Class.method` of a Python file."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return names


@named(FILES)
def test_every_file_and_every_python_name_in_a_comment_exists(path: Path) -> None:
    assert missing(comments(path.read_text())) == []


def test_a_name_that_does_not_exist_is_seen() -> None:
    text = comments(
        "// Python twin: `Emulator.run`, `Emulator.fly` in fixedpoint_nn/hardware/emulator/emulator.py,\n"
        "// `Timing` in fixedpoint_nn/hardware/emulator/no_such.py, numpy.argmax, numpy.argmean; see lane.v, lanes.v\n"
    )
    assert missing(text) == [
        "fixedpoint_nn/hardware/emulator/no_such.py",
        "lanes.v",
        "Emulator.fly in fixedpoint_nn/hardware/emulator/emulator.py",
        "Timing in fixedpoint_nn/hardware/emulator/no_such.py",
        "numpy.argmean",
    ]


@named(VERILOG)
def test_a_module_names_its_python_twin_so_that_it_can_be_found(path: Path) -> None:
    if path.parent == RTL:
        twin = re.search(r"Python twin: (.*?)\.\n(?=// System|`)", path.read_text(), re.S)
        assert twin, path
        assert re.search(
            r"` in fixedpoint_nn/[\w/]+\.py|^numpy\.|^an array$", twin[1].replace("\n// ", " ")
        ), twin[1]


@named(FILES)
def test_no_line_is_longer_than_120_characters(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if len(line) > 120] == []


@named(VERILOG)
def test_the_header_says_which_language_the_file_is_in(path: Path) -> None:
    text = path.read_text()
    header = text[: re.search(r"^[^/\n]", text, re.M).start()]  # type: ignore[union-attr]
    assert header.endswith(DIALECT) == ("$fatal" in without_comments(text))
    code = re.sub(r'"[^"\n]*"', '""', without_comments(text))
    assert (
        re.findall(
            r"\b(?:logic|always_ff|always_comb|typedef|enum|struct|import|interface|bit|unique)\b", code
        )
        == []
    )


def test_the_verilog_header_is_what_the_instruction_table_gives() -> None:
    assert (RTL / "fields.vh").read_text() == header()
    defined = {name: int(value) for name, value in re.findall(r"`define RUN_(\w+) (\d+)", header())}
    for field in Run.layout:
        if not field.name.endswith(".register"):
            assert defined.pop(field.name.upper().replace(".", "_")) == 32 * field.word + field.low, (
                field.name
            )
    assert defined == {"WORDS": Run.words, "BITS": 32 * Run.words}
    operations = {name: int(value) for name, value in re.findall(r"`define OP_(\w+) 3'd(\d)", header())}
    assert sorted(operations.values()) == sorted(INSTRUCTIONS)
    assert operations["JUMP_EQUAL"] == JumpEqual.opcode


def test_the_page_on_the_engine_holds_the_instruction_tables() -> None:
    assert markdown() in (RTL.parent / "docs" / "engine.md").read_text()


def test_every_module_has_a_header_and_a_bench_and_guards_its_nets() -> None:
    for path in sorted(RTL.glob("*.v")):
        text = path.read_text()
        assert text.startswith("// SPDX-License-Identifier: MIT\n// "), path
        assert "Python twin:" in text, path
        assert "`default_nettype none" in text, path
        assert text.rstrip().endswith("`default_nettype wire"), path
        assert (RTL / "tb" / f"{path.stem}_tb.v").exists(), path
