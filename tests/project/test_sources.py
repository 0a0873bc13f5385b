# SPDX-License-Identifier: MIT
"""The rules of the house that a machine can check: licences, requirements, and what is installed."""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "fixedpoint_nn"


def _modules() -> dict[str, Path]:
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = _modules()


def test_a_layer_asks_no_number_for_its_kind() -> None:
    layers = [path for name, path in MODULES.items() if name.split(".")[0] == "layers"]
    assert len(layers) > 10
    assert not [path for path in layers if "isinstance(x" in path.read_text("utf-8")]


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

    # by jinja2, distributed, pyserial, systemrdl-compiler, cocotb and cocotbext-axi
    brought = {"markupsafe", "dask", "serial", "systemrdl", "cocotb_tools", "cocotbext"}
    # benchmarks/hgq2_peer.py and keras_models.py run in environments of their own
    elsewhere = {"hgq", "keras", "tensorflow"}
    assert foreign(MODULES.values(), everywhere=False) <= required | brought
    assert foreign([*MODULES.values(), *tests], everywhere=True) <= required | extra | brought | elsewhere


def _distributions(requirements: str) -> set[str]:
    """Distributions, by the names of what they install (which has no hyphens)."""
    return {
        re.split(r"[^\w.-]", line)[0].lower().replace("-", "_") for line in requirements.split("\n") if line
    }


# A line, because to parse every file takes seconds; the root stands alone, and the rest of the line is code.
IMPORT = re.compile(r"^( *)(?:from (\w+)[\w.]* import |import (\w+)[\w.]*(?: as \w+)?(?: *#.*)?$)", re.M)


def _imported_roots(path: Path, everywhere: bool) -> set[str]:
    found = IMPORT.findall(path.read_text("utf-8"))
    return {of or plain for indent, of, plain in found if everywhere or not indent}


SOURCES = [
    path
    for folder in ("fixedpoint_nn", "reference_rtl", "tests", "benchmarks", "docs", ".ci")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".v", ".vh", ".sv", ".vlt", ".sh", ".cpp", ".ys"}
    or path.parent.name == ".ci"
    and path.is_file()
]


def test_every_source_file_names_its_licence() -> None:
    def named(path: Path) -> bool:
        first, second, *_ = [*path.read_text("utf-8").splitlines(), "", ""]
        return "SPDX-License-Identifier: MIT" in (second if first.startswith("#!") else first)

    assert len(SOURCES) > 1000
    assert not [path for path in SOURCES if not named(path)]


def test_no_file_is_read_or_written_by_pickle() -> None:
    texts = {name: path.read_text("utf-8") for name, path in MODULES.items()}
    del texts["precision.shared"]  # which sends messages
    assert not [
        name for name, text in texts.items() if "import pickle" in text or "allow_pickle=True" in text
    ]


def test_the_version_is_the_installed_one_and_stands_in_one_place() -> None:
    import fixedpoint_nn

    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    assert setup["metadata"]["version"] == "attr: fixedpoint_nn.version.__version__"
    assert fixedpoint_nn.__version__ == fixedpoint_nn.version.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", fixedpoint_nn.__version__)
