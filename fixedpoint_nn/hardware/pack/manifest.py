# SPDX-License-Identifier: MIT
"""The manifest of a pack: the description of its files, engine and ports, as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fixedpoint_nn.hardware.compiler.engine_sizing import stored_format
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.hardware.isa.port import Halves, Port
from fixedpoint_nn.hardware.isa.schedule import Schedule
from fixedpoint_nn.network.json_shapes import ShapeError, parsed, shown
from fixedpoint_nn.numerics.qformat import QFormat

VERSION = 2
WRITERS = {1: "0.1"}  # the release of fixedpoint_nn that wrote packs of an older version
FOLDERS = {"input": "vectors", "expected": "vectors", "status": "vectors"}  # all other kinds are in images
NAME = "manifest.json"
LARGEST = 1 << 26  # bytes; every golden pack's manifest is less than a thousandth of it
OPTIONAL = {
    "drain": 1,
    "words": 1,
    "pack": 1,
    "multiplier_width": 0,
    "weight_window": 0,
    "host_writes": 0,
}  # the values of omitted parameters
ORDER = {
    "program": "instruction after instruction, from word 0",
    "weights": "rows of lanes in the order of the engine's steps; lane 0 in the least significant bits",
    "parameters": "shift (6 bits, above) and bias of each output channel",
    "tables": "table after table, each by the bit pattern of its input",
    "activations": "rows of the activation memory from address 0 on; word 0 in the least significant bits",
    "stream": "weights from outside: rows of lanes in the order of the engine's steps, sample after sample the same; "
    "lane 0 in the least significant bits",
    "input": "vector after vector, each in the order of its axes (NHWC)",
    "expected": "vector after vector, each in the order of its axes (NHWC)",
    "status": "vector after vector: cycles, mac_cycles, saturations, accumulator_overflow, argmax",
}

MULTIPLIED = "multiplier (above), shift (6 bits) and bias (below) of each output channel"


class PackError(ValueError):
    """Raised for a pack that is damaged, incomplete, or of an unsupported version."""


def file_name(kind: str, suffix: str) -> str:
    """The path of an image or of vectors within a pack, such as `images/weights.coe`."""
    return f"{FOLDERS.get(kind, 'images')}/{kind}{suffix}"


def describe_port(port: Port) -> dict[str, Any]:
    """The manifest's entry of an input or output: shape, format, and its place in the activation memory."""
    return {
        "shape": list(port.shape),
        "format": repr(port.format),
        "address": port.address,
        "words": port.words,
        "run": port.run,
        "stride": port.stride,
    }


def read_port(entry: Mapping[str, Any]) -> Port:
    """The port that a manifest's entry describes; the inverse of `describe_port`."""
    return Port(
        tuple(entry["shape"]), QFormat.parse(entry["format"]), entry["address"], entry["run"], entry["stride"]
    )


def describe_halves(halves: Halves) -> dict[str, int]:
    """The manifest's entry of the second place of the input, which is like the first one but for its address."""
    return {"second_input": halves.second.address, "word": halves.word}


def read_halves(entry: Mapping[str, Any] | None, first: Port) -> Halves | None:
    """The second place that a manifest's entry describes, beside the first one; None if there is no entry."""
    if entry is None:
        return None
    return Halves(replace(first, address=entry["second_input"]), entry["word"])


def describe_runs(lowered: CompiledNetwork, schedule: Schedule | None) -> list[dict[str, Any]]:
    """One entry per run of the program: its address, layer, format and predicted cycles."""
    runs = []
    for place, item in lowered.placed_kernels:
        described = {
            "place": place,
            "layer": item.name,
            "format": repr(stored_format(item)),
            "channels": item.channels,
            "quantizer": str(item.quantizer),
            "accumulator_bits": _bits(item.bound),
        }
        if item.table is not None:
            described["table"] = item.table.function
        if schedule is not None and place in schedule.by_run:
            described["cycles"], described["mac_cycles"] = schedule.by_run[place]
            if item.streamed and item.weights is not None:
                described["rows"], described["stalls"] = len(item.weights), schedule.stalls_by_run[place]
        runs.append(described)
    return runs


def _bits(bound: tuple[int, int]) -> int:
    low, high = bound
    return max((~low if low < 0 else low).bit_length(), (~high if high < 0 else high).bit_length()) + 1


def describe_file(path: Path, bits: int, words: int, kind: str, shape: Sequence[int]) -> dict[str, Any]:
    """The manifest's entry of a file: `words` words of `bits` bits, their shape, size in bytes and checksum."""
    content = path.read_bytes()
    return {
        "kind": kind,
        "bits": bits,
        "words": words,
        "shape": list(shape),
        "order": ORDER[kind],
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def describe_engine(config: EngineConfig) -> dict[str, int]:
    """The manifest's entry of the engine: the parameters of the Verilog by their Python names.

    Parameters that older engines did not have are omitted at their neutral values: drain, words and pack 1, multiplier
    and window 0.
    """
    return {name: value for name, value in asdict(config).items() if OPTIONAL.get(name) != value}


def listing(lowered: CompiledNetwork, schedule: Schedule | None) -> str:
    """The program as text, with the names of layers."""
    lines = []
    names = dict(lowered.placed_kernels)
    place = 0
    for instruction in lowered.instructions:
        text = f"{place:6d}  {instruction}"
        if isinstance(instruction, Run) and place in names:
            kernel = names[place]
            about = [kernel.name or "a copy", f"{stored_format(kernel)}"]
            if schedule is not None:
                about.append("{} cycles, {} MAC cycles".format(*schedule.by_run.get(place, (0, 0))))
            lines.append(f"        ; {', '.join(about)}")
        lines.append(text)
        place += instruction.words
    return "\n".join(lines) + "\n"


def images_hash(about: Mapping[str, Any]) -> str:
    """The SHA-256 of all images of a pack; it does not depend on the radix of the .coe files."""
    images = sorted(
        (name, entry["sha256"]) for name, entry in about["files"].items() if name.endswith(".mem")
    )
    return hashlib.sha256(
        json.dumps([pair for pair in images if pair[0].startswith("images/")]).encode()
    ).hexdigest()


def write(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of the pack in `folder`."""
    (folder / NAME).write_text(json.dumps(manifest, indent=1) + "\n")


def read(folder: Path) -> dict[str, Any]:
    """The manifest in `folder`, with its version and shape checked; `load_pack` checks the files."""
    path = folder / NAME
    try:
        if not path.is_file():
            raise FileNotFoundError
        if path.stat().st_size > LARGEST:
            raise PackError(
                f"{path} is larger than {LARGEST} bytes, which no manifest is; emit the pack again"
            )
        manifest = parsed(path.read_bytes())
    except FileNotFoundError:
        raise PackError(f"{folder} holds no {NAME}; is it a pack that `emit` wrote?") from None
    except PackError:
        raise
    except OSError as error:
        raise PackError(f"{path} cannot be read ({error.strerror}); choose another folder") from None
    except ShapeError as error:
        raise PackError(f"{path} cannot be read: {error}; emit the pack again") from None
    if not isinstance(manifest, dict) or manifest.get("version") != VERSION:
        found = manifest.get("version") if isinstance(manifest, dict) else None
        writer = WRITERS.get(found) if isinstance(found, int) else None
        about = f", which fixedpoint_nn {writer} wrote," if writer else ""
        raise PackError(
            f"{path} has version {shown(found)}{about} and this program reads {VERSION}; emit the pack again"
        )
    return manifest
