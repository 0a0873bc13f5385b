# SPDX-License-Identifier: MIT
"""Completion scripts, run in the shells that are here."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fixedpoint_nn import zoo
from fixedpoint_nn.cli.completion import SHELLS
from fixedpoint_nn.cli.described_commands import described
from fixedpoint_nn.cli.program import COMMANDS
from fixedpoint_nn.training.optimisers import OPTIMISERS

ASK = """
try() { COMP_WORDS=("$@"); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _fixedpoint_nn; printf '%s\\n' "${COMPREPLY[@]}"; }
"""


def script(shell: str) -> str:
    return SHELLS[shell](described())


def bash(*words: str, cwd: Path) -> list[str]:
    """What bash offers for the last word."""
    quoted = " ".join(f"'{word}'" for word in words)
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{script('bash')}\n{ASK}\ntry fixedpoint-nn {quoted}"],
        capture_output=True, text=True, cwd=cwd, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")


@needs_bash
def test_bash_completes_commands_options_values_networks_and_files(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_text("")
    (tmp_path / "folder").mkdir()
    assert bash("", cwd=tmp_path) == [*COMMANDS, "--help", "--version"]
    assert bash("sw", cwd=tmp_path) == ["sweep"]
    assert bash("train", "mnist", cwd=tmp_path) == [name for name in zoo.names() if name.startswith("mnist")]
    assert bash("train", "mine", cwd=tmp_path) == ["mine.safetensors"]
    assert bash("train", "moons", "--opt", cwd=tmp_path) == ["--optimiser"]
    assert bash("train", "moons", "--optimiser", "", cwd=tmp_path) == list(OPTIMISERS)
    assert bash("train", "moons", "--out", "mi", cwd=tmp_path) == ["mine.safetensors"]
    assert bash("verify", "", cwd=tmp_path) == ["folder"]
    assert bash("verify", "folder", "--simulator", "v", cwd=tmp_path) == ["verilator"]
    assert bash("completion", "", cwd=tmp_path) == list(SHELLS)


@needs_bash
def test_every_option_of_every_command_is_offered(tmp_path: Path) -> None:
    for command in described():
        options = {name for option in command.options for name in option.names}
        assert {"--help", "--json", "-q"} <= options
        assert set(bash(command.name, "-", cwd=tmp_path)) == options


@pytest.mark.parametrize(("shell", "check"), [("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_the_other_shells_read_their_script(shell: str, check: list[str], tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    path = tmp_path / "script"
    path.write_text(script(shell))
    subprocess.run([shell, *check, str(path)], check=True)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not here")
def test_fish_completes_commands_values_networks_and_files(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(script("fish"))
    (tmp_path / "mine.safetensors").write_text("")

    def ask(line: str) -> list[str]:
        code = f"source script; complete -C '{line}'"
        done = subprocess.run(
            ["fish", "--no-config", "-c", code], capture_output=True, text=True, cwd=tmp_path
        )
        return [found.split("\t")[0] for found in done.stdout.splitlines()]

    assert ask("fixedpoint-nn sw") == ["sweep"]
    assert sorted(ask("fixedpoint-nn train moons --optimiser ")) == sorted(OPTIMISERS)
    assert ask("fixedpoint-nn train min") == ["mine.safetensors"]
    assert ask("fixedpoint-nn train mnist_l") == ["mnist_lstm"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not here")
def test_zsh_completes_commands_values_and_networks(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(script("zsh"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvp("zsh", ["zsh", "-f", "-i"])

    def ask(line: str, wanted: str) -> str:
        """What the terminal shows after the line and a tabulator, until what is wanted appears."""
        os.write(terminal, f"{line}\t".encode())
        shown, end = "", time.monotonic() + 10
        while wanted not in shown and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536).decode(errors="replace")
        os.write(terminal, b"\x15\n")
        return shown

    try:
        os.write(terminal, b"autoload -Uz compinit; compinit -u -D; source script\n")
        assert "sweep" in ask("fixedpoint-nn sw", "sweep")
        assert "nesterov" in ask("fixedpoint-nn train moons --optimiser n", "nesterov")
        assert "mnist_lstm" in ask("fixedpoint-nn train mnist_l", "mnist_lstm")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_hold_every_command_and_option_with_quotes_in_pairs(shell: str) -> None:
    text = script(shell)
    for command in described():
        assert command.name in text
        for option in command.options:
            for name in option.names:
                long = name.startswith("--")
                written = name if shell == "zsh" else f"-l {name[2:]} " if long else f"-s {name[1:]} "
                assert written in text
    for line in text.splitlines():
        assert line.replace("'\\''", "").replace("\\'", "").count("'") % 2 == 0, line
