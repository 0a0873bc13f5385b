# SPDX-License-Identifier: MIT
"""What keeps a release back is one sentence. The builds themselves are `make release` and test_wheel.py."""

from __future__ import annotations

import importlib.util
import re
import zipfile
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType

import pytest

from fixedpoint_nn.version import __version__

ROOT = Path(__file__).resolve().parents[2]


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = loaded()


def source(
    folder: Path, package: str = "1.2.0", cited: str = "1.2.0", newest: str = "1.2.0, 1 May 2030"
) -> Path:
    (folder / "fixedpoint_nn").mkdir()
    (folder / "fixedpoint_nn" / "version.py").write_text(f'__version__ = "{package}"\n')
    (folder / "CITATION.cff").write_text(f"cff-version: 1.2.0\nversion: {cited}\n")
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {newest}\n\n## 0.1.0\n")
    return folder


def test_a_release_has_one_version_everywhere(tmp_path: Path) -> None:
    assert release.version_of(source(tmp_path)) == "1.2.0"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"package": "1.2.0.dev0"},
            "version 1.2.0.dev0 is no release; write one such as 0.2.0 into fixedpoint_nn/version.py",
        ),
        ({"cited": "1.1.0"}, "CITATION.cff has version 1.1.0, the package 1.2.0"),
        ({"newest": "1.1.0"}, "CHANGELOG.md begins with 1.1.0, and this is 1.2.0"),
        (
            {"newest": "1.2.0 (unreleased)"},
            "CHANGELOG.md says 1.2.0 (unreleased); put the day of the release in the place of that word",
        ),
    ],
)
def test_another_version_keeps_it_back(wrong: dict[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(release.NotGood, match=f"^{re.escape(sentence)}$"):
        release.version_of(source(tmp_path, **wrong))


def test_the_versions_of_this_checkout_agree() -> None:
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"\nversion: {__version__}\n" in cited
    assert newest is not None and newest[1] == __version__


def wheel(folder: Path, *names: str) -> Path:
    path = folder / "it-1.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return path


def test_a_wheel_holds_every_file_of_the_package_and_no_other(tmp_path: Path) -> None:
    tracked = ["fixedpoint_nn/cli/run.py", "reference_rtl/engine.v"]
    good = ["fixedpoint_nn/cli/run.py", "fixedpoint_nn/reference_rtl/engine.v", "it-1.dist-info/METADATA"]
    release.demand_whole(wheel(tmp_path, *good), tracked)
    for left, sentence in (
        (good[1:], "it-1.whl lacks fixedpoint_nn/cli/run.py"),
        (good[2:], "it-1.whl lacks fixedpoint_nn/cli/run.py and 1 more"),
    ):
        with pytest.raises(release.NotGood, match=f"^{re.escape(sentence)}$"):
            release.demand_whole(wheel(tmp_path, *left), tracked)
    for strange in (
        "tests/proof/flip.py",
        "fixedpoint_nn/tests/x.py",
        "fixedpoint_nn/cli/test_run.py",
        "setup.py",
    ):
        with pytest.raises(release.NotGood, match=f"^it-1.whl must not hold {re.escape(strange)}$"):
            release.demand_whole(wheel(tmp_path, *good, strange), tracked)


def test_no_file_of_the_package_would_be_taken_for_one_of_the_tests() -> None:
    names = [str(path.relative_to(ROOT)) for path in (ROOT / "fixedpoint_nn").rglob("*") if path.is_file()]
    assert release.strangers(names) == []


def test_a_python_that_is_named_has_to_be_there() -> None:
    with pytest.raises(release.NotGood, match=r"^there is no python9\.9; name a Python that is installed$"):
        release.pythons(["python9.9"])


def test_a_python_is_found_where_pyenv_has_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "versions" / "3.12.1" / "bin" / "python3.12"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 3.12\n")
    program.chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert release.pythons([]) == {"3.12": str(program)}


def test_what_fails_tells_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(release.NotGood, match=r"^sh -c echo broken; exit 3 failed:\nbroken$"):
        release.run("sh", "-c", "echo broken; exit 3", cwd=tmp_path)


def test_the_pythons_that_are_tried_are_those_that_are_promised() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    promised = re.findall(r":: (3\.\d+)$", setup["metadata"]["classifiers"], re.MULTILINE)
    assert tuple(promised) == release.SUPPORTED
    assert setup["options"]["python_requires"] == f">={promised[0]}"
