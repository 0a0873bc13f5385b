# SPDX-License-Identifier: MIT
"""The set-up gets a simulator as root, without root, or says in one sentence what to install.

The script runs in a folder of its own, on a machine whose programs are all pretended.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[2] / ".ci" / "setup"
PLAIN = (
    "sh",
    "cat",
    "chmod",
    "dirname",
    "head",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sed",
    "sort",
    "tail",
    "touch",
)
ICARUS = 'echo "Icarus Verilog version {version} (stable)"'
Machine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PLAIN:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def setup(tmp_path: Path, bin: Path) -> Machine:
    """Run a step of the set-up, as root or not."""
    (tmp_path / "checkout" / ".ci").mkdir(parents=True)
    shutil.copy(SETUP, tmp_path / "checkout" / ".ci" / "setup")

    def run(step: str, root: bool = False) -> subprocess.CompletedProcess[str]:
        program(bin / "id", f"echo {0 if root else 1000}")
        command = [str(tmp_path / "checkout" / ".ci" / "setup"), step]
        return subprocess.run(command, env={"PATH": str(bin)}, capture_output=True, text=True)

    return run


def has_icarus(folder: Path, version: str = "11.0") -> None:
    program(folder / "iverilog", ICARUS.format(version=version))
    program(folder / "vvp", "exit 0")


def test_a_simulator_that_is_there_is_taken_without_a_word(setup: Machine, bin: Path) -> None:
    has_icarus(bin)
    done = setup("iverilog")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("old", "found"), [(None, "none"), ("10.3", "10.3")])
def test_without_a_package_manager_one_sentence_says_what_to_install(
    setup: Machine, bin: Path, old: str | None, found: str
) -> None:
    if old is not None:
        has_icarus(bin, old)
    done = setup("iverilog")
    assert done.returncode != 0
    assert done.stderr == (
        f"set-up: Icarus Verilog 11.0 or newer is needed (found: {found}); install it (Debian: apt-get install "
        "iverilog, macOS: brew install icarus-verilog), then try again.\n"
    )


def test_root_installs_it(setup: Machine, bin: Path, tmp_path: Path) -> None:
    has_icarus(tmp_path / "archive")
    log = tmp_path / "log"
    program(
        bin / "apt-get", f'echo "$*" >>{log}\ncase "$*" in *install*) mv {tmp_path}/archive/* {bin} ;; esac'
    )
    done = setup("iverilog", root=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "  set-up: Icarus Verilog 11.0"
    assert log.read_text().splitlines() == ["-q update", "-q install -y --no-install-recommends iverilog"]


def test_a_package_manager_that_fails_is_one_sentence_with_its_last_words(setup: Machine, bin: Path) -> None:
    program(bin / "apt-get", "echo no network >&2; exit 100")
    done = setup("iverilog", root=True)
    assert done.returncode != 0
    assert done.stderr == (
        "no network\nset-up: apt-get install iverilog failed; run it by hand, then try again.\n"
    )


def test_without_root_it_is_unpacked_into_the_checkout_alone(
    setup: Machine, bin: Path, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    program(
        bin / "apt-get",
        'case "$*" in\n'
        '*" -s "*) echo "Inst iverilog (11.0)"; echo "Inst libx (1)" ;;\n'
        '*" download "*) shift $(($# - 2)); touch "$1.deb" "$2.deb" ;;\n'
        "esac",
    )
    unpacked = "$3/usr/bin $3/usr/lib/some-linux-gnu/ivl"
    program(
        bin / "dpkg",
        f"mkdir -p {unpacked}\n"
        f"printf '#!/bin/sh\\n%s\\n' '{ICARUS.format(version='12.0')}' >$3/usr/bin/iverilog\n"
        "printf '#!/bin/sh\\n' >$3/usr/bin/vvp\nchmod +x $3/usr/bin/*",
    )
    done = setup("iverilog")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "  set-up: unpacking iverilog and what it needs into .tools (no root)",
        "  set-up: Icarus Verilog 12.0",
    ]
    assert sorted(path.name for path in (checkout / ".tools" / "bin").iterdir()) == ["iverilog", "vvp"]
    assert not (checkout / ".tools" / "iverilog.unfinished").exists()
    moved = checkout.rename(tmp_path / "moved")
    said = subprocess.run(
        [moved / ".tools/bin/iverilog"], env={"PATH": str(bin)}, capture_output=True, text=True
    )
    assert said.stdout.startswith("Icarus Verilog version 12.0")


def test_verilator_without_a_compiler_is_one_sentence(setup: Machine, bin: Path) -> None:
    program(bin / "verilator", 'echo "Verilator 5.006 2023-01-22"')
    done = setup("verilator")
    assert done.returncode != 0
    assert done.stderr == (
        "set-up: Verilator needs a C++ compiler; install one (Debian: apt-get install g++), then try again.\n"
    )


def test_an_unknown_step_is_refused(setup: Machine) -> None:
    done = setup("modelsim")
    assert done.returncode != 0
    assert done.stderr.startswith(
        "set-up: unknown step 'modelsim'; the steps are: python EXTRA..., iverilog,"
    )
