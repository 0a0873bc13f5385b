# SPDX-License-Identifier: MIT
"""The demo: all of its steps, twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixedpoint_nn.cli import main
from fixedpoint_nn.network.serialization import identity, load


@pytest.mark.slow
def test_the_demo_passes_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    for _ in range(2):
        assert main(["demo", "--out", str(out)]) == 0
        printed = capsys.readouterr().out
        assert [line for line in printed.splitlines() if line.startswith("[")] != []
        assert "PASS: 2 vectors" in printed
        assert "PASS: equal in every one of" in printed
        assert printed.strip().splitlines()[-1].startswith("PASS in ")
        assert str((out / "report.html").resolve()) in printed
    assert "trained by an earlier demo" in printed
    weights = identity(load(out / "training" / "names_lstm.safetensors"))
    told = [json.loads(path.read_text(encoding="utf-8")) for path in out.rglob("run-*.json")]
    assert {record["command"]: record["results"]["weights"] for record in told} == dict.fromkeys(
        ("train", "sweep", "emit", "verify", "generate"), weights
    )
    html = (out / "report.html").read_text(encoding="utf-8")
    for title in ("Verification", "Generation", "Training", "NLL against bits", "Ledger", "Latency"):
        assert f"<h2>{title}</h2>" in html
    assert f"All of it is of one network, names_lstm: {weights[:12]}" in html
