# SPDX-License-Identifier: MIT
"""A pack is replaced in one step: a reader finds the old one or the new one, whole, whatever kills the writer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from fixedpoint_nn.files import replace
from fixedpoint_nn.hardware.pack import reader
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.verify.verify import verify
from tests.project.test_faults import small_pack

ROOT = Path(__file__).parents[3]
CRASHES = """
import os, sys
from dataclasses import replace as changed
from itertools import count
from pathlib import Path
from fixedpoint_nn.files import replace
from fixedpoint_nn.hardware import emit
from fixedpoint_nn.hardware.pack import writer
from fixedpoint_nn.hardware.pack.reader import load_pack
from tests.project.test_faults import small_pack
from tests.support.crash import killed_at

os.fsync = lambda handle: None  # which takes most of the time, and decides nothing here
above = Path(sys.argv[1])
place = above / "pack"
if sys.argv[2] == "True":
    real = replace.exchange
    replace.exchange = lambda *names: (real(*names), sys.audit("exchanged"))[0]
else:
    replace.exchange = lambda *names: False
contents = []
sys.modules["fixedpoint_nn.hardware.emit"].write = lambda directory, content, *_: contents.append(content)
for seed in range(2):
    small_pack(above, seed)
old, new = (changed(content, name=name) for content, name in zip(contents, ("old", "new")))
seen = []
for step in count(1):
    writer.write(place, old)
    if not killed_at(step, lambda: writer.write(place, new)):
        break
    pack = load_pack(place)
    assert (pack.images.weights == (old if pack.name == "old" else new).images.weights).all()
    seen.append(pack.name)
assert load_pack(place).name == "new"
writer.write(place, old)
assert all(path.name.startswith(".pack+") for path in above.iterdir() if path != place)
print(seen.count("old"), seen.count("new"), seen == sorted(seen, reverse=True))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("exchanges", [True, False])
def test_a_writer_that_is_killed_at_any_step_leaves_the_old_pack_or_the_new_one(
    exchanges: bool, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CRASHES, tmp_path, str(exchanges)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    old, new, in_order = done.stdout.split()
    assert int(old) >= 40  # every file is opened, written and described before anything is replaced
    assert int(new) >= 3
    assert in_order == "True"


@pytest.mark.parametrize("exchanges", [True, False])
def test_readers_beside_a_writer_find_whole_packs(
    exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs = [small_pack(tmp_path / f"{seed}", seed) for seed in range(2)]
    place, done = tmp_path / "here" / "pack", Event()
    shutil.copytree(packs[0], place)
    monkeypatch.setattr(
        os, "fsync", lambda handle: None
    )  # which takes most of the time, and decides nothing here
    if not exchanges:
        monkeypatch.setattr(replace, "exchange", lambda *_: False)

    def read() -> int:
        seen = set()
        while not done.is_set():
            seen.add(load_pack(place).images.weights.tobytes())
        return len(seen)

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for turn in range(60):
                with replace.replaced(place) as new:
                    shutil.copytree(packs[turn % 2], new, dirs_exist_ok=True)
        finally:
            done.set()
        assert max(reader.result() for reader in readers) == 2


def test_a_pack_that_is_replaced_while_it_is_verified_is_verified_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = small_pack(tmp_path)
    loaded = []

    def and_replace(directory: Path) -> reader.Pack:
        found = load_pack(directory)
        if not loaded:
            small_pack(tmp_path, seed=1)
        loaded.append(found)
        return found

    monkeypatch.setattr(sys.modules["fixedpoint_nn.hardware.verify.verify"], "load_pack", and_replace)
    verdict = verify(pack)
    assert verdict.passed, verdict.text
    assert len(loaded) == 2


def test_a_damaged_pack_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = small_pack(tmp_path)
    (pack / "images" / "weights.coe").write_text("half")
    with pytest.raises(PackError, match="has 4 bytes"):
        load_pack(pack)
