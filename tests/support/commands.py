# SPDX-License-Identifier: MIT
"""Commands called as from a shell: their status, their JSON, their sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fixedpoint_nn.cli import main

Capture = pytest.CaptureFixture[str]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def found(capsys: Capture, *arguments: object) -> Any:
    capsys.readouterr()
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: Capture, *arguments: object) -> str:
    capsys.readouterr()
    assert run(*arguments) == 2
    return capsys.readouterr().err.strip().splitlines()[-1].removeprefix("fixedpoint-nn: ")
