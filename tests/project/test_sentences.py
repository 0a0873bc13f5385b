# SPDX-License-Identifier: MIT
"""Whole sentences about damaged files, with the file, what is wrong, and the way out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.damaged_kinds import ERRORS, KINDS


def structure(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change what a network's or a checkpoint's file says, without its checksum."""
    blob = path.read_bytes()
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + size])
    key = next(iter(header["__metadata__"]))
    notes = json.loads(header["__metadata__"][key])
    notes.pop("sha256")
    change(notes)
    header["__metadata__"][key] = json.dumps(notes)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + blob[8 + size :])


def fc(notes: dict[str, Any]) -> dict[str, Any]:
    """The fields of a network's last layer."""
    return notes["net"]["fields"]["parts"]["parts"]["fc"]["fields"]  # type: ignore[no-any-return]


def network(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    return lambda path: structure(path, change)


def stated(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Change a JSON file."""

    def changed(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return changed


def row(text: object) -> Callable[[Path], None]:
    def changed(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE results SET result = ? WHERE key = 'point 3'", (text,))
            connection.commit()

    return changed


def instead(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def only(start: int, end: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[start:end])


AGAIN = "get it again, or train it again"
SENTENCES: list[tuple[str, Callable[[Path], object], str]] = [
    ("network", instead(b"{}"), "FILE is damaged or not a safetensors file (Error while deserializing: "
     "header too small); "
     + AGAIN),
    ("network", instead((1 << 62).to_bytes(8, "little") + b"{}"),
     f"FILE is damaged or not a safetensors file (Error while deserializing: header too large); {AGAIN}"),
    ("network", network(lambda notes: notes.pop("net")), f"FILE does not describe a network: it has no 'net'; {AGAIN}"),
    ("network", network(lambda notes: notes.update(net=[1])),
     f"FILE does not describe a network: it holds a list of 1; {AGAIN}"),
    ("network", network(lambda notes: notes["net"].pop("fields")),
     f"FILE does not describe a network: class has no 'fields'; {AGAIN}"),
    ("network", network(lambda notes: notes["net"].update({"class": "os.system"})),
     f'FILE does not describe a network: it asks for "os.system", which this release does not know; {AGAIN}'),
    ("network", network(lambda notes: fc(notes).update(bits=8)),
     "FILE does not describe a network: a Dense has no field 'bits'; it has weight, bias, out, accumulator; "
     + AGAIN),
    ("network", network(lambda notes: fc(notes).pop("weight")),
     f"FILE does not describe a network: the 'weight' of a Dense is missing; {AGAIN}"),
    ("network", network(lambda notes: fc(notes).update(weight=5)),
     f"FILE does not describe a network: the 'weight' of a Dense cannot be 5; {AGAIN}"),
    ("network", network(lambda notes: fc(notes).update(weight={"tensor": "gone"})),
     f'FILE does not describe a network: the numbers of "gone" are missing; {AGAIN}'),
    ("network", network(lambda notes: fc(notes).update(out={"format": "eight bits"})),
     "FILE does not describe a network: 'eight bits' is not a format; write it like 'Q4.12', 'UQ0.8', 'fxp-s16/12' or "
     f"'ap_fixed<16,4>'; {AGAIN}"),
    ("network", network(lambda notes: notes.update(version=7)),
     "FILE has file version 7, this release reads 1; use the release that wrote it"),
    ("checkpoint", instead(b""),
     "FILE is no checkpoint of a training: Error while deserializing: header too small; delete it to start anew"),
    ("checkpoint", network(lambda notes: notes.pop("history")),
     "FILE is no checkpoint of a training: it has no 'history'; delete it to start anew"),
    ("manifest", stated(lambda about: about["files"]["images/weights.coe"].pop("bits")),
     """FILE cannot be right: files["images/weights.coe"] has no 'bits'; emit the pack again"""),
    ("manifest", stated(lambda about: about["runs"][0].update(place="many")),
     'FILE cannot be right: runs[0].place is "many", not a whole number from 0 on; emit the pack again'),
    ("manifest", stated(lambda about: about["input"].update(format="bits")),
     'FILE cannot be right: input.format is "bits", not a format such as "Q(2, 6)"; emit the pack again'),
    ("manifest", stated(lambda about: about["output"].update(address=10**6)),
     "FILE cannot be right: output ends at address 1000004, and the activation memory has 16 words; emit "
     "the pack again"),
    ("manifest", stated(lambda about: about.update(weights="passed")),
     'FILE cannot be right: weights is "passed", not 64 hexadecimal digits; emit the pack again'),
    ("manifest", stated(lambda about: about["engine"].pop("lanes")),
     "FILE cannot be right: engine has no 'lanes'; emit the pack again"),
    ("manifest", stated(lambda about: about["engine"].update(lanes=3)),
     "FILE cannot be right: lanes = 3 is no engine; use 1, 2, 4, 8, 16, 32, 64, 128 or 256; emit the pack again"),
    ("manifest", only(0, 100), "FILE cannot be read: it is not JSON: Unterminated string starting at line "
     "4, column 13; "
     "emit the pack again"),
    ("pack with its checksum, images/weights.coe", only(0, -3),
     "FILE has no memory_initialization_vector that ends with a semicolon; it may be cut short; emit the pack again"),
    ("pack with its checksum, images/weights.coe",
     instead(b"memory_initialization_radix=10;\nmemory_initialization_vector="
     + b"9" * 5000 + b";\n"),
     f"word 0 of FILE is {'9' * 40!r}, which has more than 64 bits; emit the pack again"),
    ("plan", stated(lambda plan: plan.update(input={"bits": 8})),
     "FILE: 'input' of the plan is {\"bits\": 8}; write a quantizer such as "
     "\"ap_fixed<8,2,AP_RND_CONV,AP_SAT>\", or null "
     "to keep every bit"),
    ("plan", instead(b"[" * 100_000), "FILE: the plan is not JSON that can be read: it is nested too deeply"),
    ("plan", instead(b"null"), "FILE: a plan is a JSON object of paths and quantizers, not null"),
    ("record of a verification, a lie", stated(lambda record: record.pop("results")),
     "FILE is not the record of a run (it has no 'results'); delete it and run the command again"),
    ("record of a training", stated(lambda record: record.update(seconds=0.5)),
     "FILE is not the record of a run (its checksum does not match); delete it and run the command again"),
    ("sweep's store", instead(b"SQLite format 3\x00" + bytes(100)),
     "FILE cannot be used as a store of results (file is not a database); name another file"),
    ("sweep's store", row('{"accuracy": 0.'), "the result point 3 in FILE is damaged (it is not JSON: Expecting ',' "
     "delimiter at line 1, column 15); delete the file to compute its results again"),
    ("sweep's store", row("0" * 64 + ' {"accuracy": 0.5}'),
     "the result point 3 in FILE is damaged (its checksum does not match); delete the file to compute its "
     "results again"),
    ("sweep's store", row(b"\x00"), "the result point 3 in FILE is damaged (it is no text); delete the file "
     "to compute its "
     "results again"),
    ("search's store", instead(b"no trials"),
     "FILE cannot be used as the storage of a search (file is not a database); delete it to search anew"),
    ("idx", only(0, 9), "FILE ends within its header; get it again."),
    ("idx", only(0, 30), "FILE promises an array of shape (2, 3, 3), 18 bytes, and holds 14 bytes of "
     "values; get it again."),
    ("gz", only(0, 20), "FILE is a damaged gzip file (Compressed file ended before the end-of-stream marker "
     "was reached); "
     "get it again."),
    ("csv", instead(b"a;b\x00\x1b\r\n1;2\r\n"),
     "FILE has no column 01_prenom or 03_langage; its columns are a, b??."),
    ("txt", instead(b"anna\n\xff\n"), "FILE is not utf-8 text (byte 5 is 0xff); convert it first."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "damage", "sentence"), SENTENCES, ids=[f"{kind} {n}" for n, (kind, *_) in enumerate(SENTENCES)]
)
def test_a_damaged_file_is_one_sentence(
    kind: str, damage: Callable[[Path], object], sentence: str, tmp_path: Path
) -> None:
    path = KINDS[kind].make(tmp_path)
    damage(path)
    with pytest.raises(ERRORS) as caught:
        KINDS[kind].read(path)
    assert str(caught.value).replace(str(path), "FILE") == sentence
