# SPDX-License-Identifier: MIT
"""The rules of the house that a machine can check: floors, no circles, licences, and what is installed."""

from __future__ import annotations

import ast
import configparser
import graphlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fixedpoint_nn"

# A file imports only from its own floor and from those below it.
FLOORS: dict[str, set[str]] = {
    "formats and conversions": {
        *(
            "accumulator",
            "container",
            "conversion",
            "exact_functions",
            "overflow",
            "qformat",
            "quantizer",
            "requantize",
        ),
        *("rounding", "table"),
    },
    "numbers, and the kernels under them": {
        *("accumulate", "channels", "convolution", "fixed", "fixed_movement", "fixed_numpy", "fixed_values"),
        *("functions", "graph", "kernels", "ledger", "movement", "number", "packing", "program", "stretches"),
        *("tensor", "traced"),
    },
    "layers, and what is done to a network of them": {
        *("files", "folding", "initialise", "layers", "quantized", "tree"),
    },
    "what a network goes through": {"data", "hardware", "precision", "training"},
    "the networks, with their data and training": {"zoo"},
    "what people meet": {"", "__main__", "cli", "report"},
}
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS.values()) for name in names}

# The parts of one floor do not know each other, but for these, each with its sentence.
KNOWN_TO_EACH_OTHER = {
    ("precision", "training"): "training for few bits is training",
    ("precision", "hardware"): "what a plan costs is counted by the engine's own schedule",
}


def _modules() -> dict[str, Path]:
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = _modules()


def imports(path: Path) -> set[str]:
    """What a file imports of the package as it is imported: not in functions, not for type checkers."""
    found, waiting = set(), list(ast.parse(path.read_text("utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fixedpoint_nn":
            base = (node.module or "").partition(".")[2]
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                found.add(inner if inner in MODULES else base)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            waiting += node.body + node.orelse
        elif isinstance(node, ast.Try):
            waiting += node.body
    return found - {_name_of(path)}


def _name_of(path: Path) -> str:
    return next(name for name, other in MODULES.items() if other == path)


IMPORTS = {name: imports(path) for name, path in MODULES.items()}


def part(module: str) -> str:
    return module.split(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_every_file_stands_on_a_floor_and_imports_nothing_from_above(module: str) -> None:
    assert part(module) in FLOOR_OF, f"say in tests/test_frame.py on which floor {part(module)} stands"
    above = {other for other in IMPORTS[module] if FLOOR_OF.get(part(other), 99) > FLOOR_OF[part(module)]}
    assert above == set()


def test_imports_make_no_circle() -> None:
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    graph = {name: {other for other in others if other not in packages} for name, others in IMPORTS.items()}
    list(graphlib.TopologicalSorter(graph).static_order())


def test_the_parts_that_a_network_goes_through_do_not_know_each_other() -> None:
    parts = FLOORS["what a network goes through"]
    edges = {(part(module), part(other)) for module, others in IMPORTS.items() for other in others}
    across = {(one, other) for one, other in edges if one in parts and other in parts and one != other}
    assert across == set(KNOWN_TO_EACH_OTHER)


@pytest.mark.parametrize("module", [name for name in MODULES if part(name) == "layers"])
def test_a_layer_knows_no_number(module: str) -> None:
    assert not {"fixed", "tensor", "traced"} & {part(other) for other in IMPORTS[module]}
    assert "isinstance(x" not in MODULES[module].read_text("utf-8")


def test_every_package_is_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    listed = set(setup["options"]["packages"].split())
    there = {
        f"fixedpoint_nn.{name}".rstrip(".") for name, path in MODULES.items() if path.name == "__init__.py"
    }
    assert listed == there | {"fixedpoint_nn.reference_rtl"}


def test_every_import_is_a_declared_requirement() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    required = _distributions(setup["options"]["install_requires"])
    extra = set().union(*map(_distributions, setup["options.extras_require"].values()))
    tests = [path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    own = {
        "fixedpoint_nn",
        "tests",
        "benchmarks",
        "notebooks",
        "golden_vectors",
        *(path.stem for path in tests),
    }

    def foreign(paths: Iterable[Path], everywhere: bool) -> set[str]:
        roots = set().union(*(_imported_roots(path, everywhere) for path in paths))
        return {root.lower() for root in roots - own - sys.stdlib_module_names}

    brought = {"markupsafe", "dask"}  # by jinja2 and distributed
    assert foreign(MODULES.values(), everywhere=False) <= required | brought
    assert foreign([*MODULES.values(), *tests], everywhere=True) <= required | extra | brought


def _distributions(requirements: str) -> set[str]:
    return {re.split(r"[^\w.-]", line)[0].lower() for line in requirements.split("\n") if line}


def _imported_roots(path: Path, everywhere: bool) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    roots = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            roots.add((node.module or "").split(".")[0])
    return roots


SOURCES = [
    path
    for folder in ("fixedpoint_nn", "reference_rtl", "tests", "benchmarks", ".ci")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".v", ".vh", ".sv", ".vlt", ".sh", ".cpp", ".ys"} or path.parent.name == ".ci"
]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_source_file_names_its_licence(path: Path) -> None:
    first, second, *_ = [*path.read_text("utf-8").splitlines(), "", ""]
    assert "SPDX-License-Identifier: MIT" in (second if first.startswith("#!") else first)


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"precision.shared"}))  # which sends messages
def test_no_file_is_read_or_written_by_pickle(module: str) -> None:
    text = MODULES[module].read_text("utf-8")
    assert "import pickle" not in text
    assert "allow_pickle=True" not in text
