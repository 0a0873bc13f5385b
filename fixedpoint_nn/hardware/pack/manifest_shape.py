# SPDX-License-Identifier: MIT
"""The schema and consistency checks of a manifest, before any other file of the pack is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.port import Halves, Port
from fixedpoint_nn.hardware.pack.manifest import OPTIONAL
from fixedpoint_nn.hardware.vectors import reachability
from fixedpoint_nn.network.json_shapes import (
    JsonEither,
    JsonInteger,
    JsonList,
    JsonMap,
    JsonNumber,
    JsonObject,
    JsonText,
    ShapeError,
    demand,
)
from fixedpoint_nn.numerics.qformat import QFormat

HASH = JsonText("64 hexadecimal digits", matches=re.compile("[0-9a-f]{64}").fullmatch)
MOST_WORDS = 1 << 40


def _is_format(text: str) -> bool:
    try:
        QFormat.parse(text)
    except ValueError:
        return False
    return True


FORMAT = JsonText('a format such as "Q(2, 6)"', matches=_is_format)
REASON = JsonText(matches=lambda text: text.startswith(reachability.UNREACHABLE))
FILE = JsonText(
    'a file of a pack, such as "images/weights.coe"',
    matches=re.compile(r"(images|vectors)/[a-z]+\.(coe|mem|mif)").fullmatch,
)
PORT = JsonObject(
    {
        "shape": JsonList(JsonInteger(1, MOST_WORDS)),
        "format": FORMAT,
        "address": JsonInteger(),
        "run": JsonInteger(1),
        "stride": JsonInteger(1),
    }
)
RUN = JsonObject(
    {"place": JsonInteger(), "layer": JsonText(), "format": FORMAT, "channels": JsonInteger(1)},
    {
        "cycles": JsonInteger(),
        "mac_cycles": JsonInteger(),
        "quantizer": JsonText(),
        "table": JsonText(),
        "rows": JsonInteger(),
        "stalls": JsonInteger(),
    },
)
ENTRY = JsonObject(
    {
        "kind": JsonText(),
        "bits": JsonInteger(1, 1 << 16),
        "words": JsonInteger(0, MOST_WORDS),
        "bytes": JsonInteger(),
        "sha256": HASH,
    }
)
MANIFEST = JsonObject(
    {
        "network": JsonText(),
        "engine": JsonMap(JsonInteger()),
        "input": PORT,
        "output": PORT,
        "vectors": JsonInteger(0, MOST_WORDS),
        "origins": JsonList(JsonText()),
        "seed": JsonInteger(),
        "cycles": JsonList(JsonInteger()),
        "mac_cycles": JsonList(JsonInteger()),
        "corners": JsonMap(JsonMap(JsonEither(REASON, JsonInteger()))),
        "runs": JsonList(RUN),
        "files": JsonMap(ENTRY),
    },
    {
        "weights": HASH,
        "batch": JsonInteger(2, MOST_WORDS),
        "ahead": JsonObject({"second_input": JsonInteger(), "word": JsonInteger()}),
        "utilisation": JsonNumber(),
        "weight_memory": JsonObject({"clocks": JsonInteger(1), "latency": JsonInteger(1)}),
        "stalls": JsonList(JsonInteger()),
    },
)


def demand_manifest(about: Mapping[str, Any]) -> None:
    """Raise `ShapeError` for entries that are missing, of a wrong type, or inconsistent."""
    demand(about, MANIFEST)
    for name in about["files"]:
        demand(name, FILE, "the name of a file")
    known = {field.name for field in fields(EngineConfig)}
    for missing in sorted(known - about["engine"].keys() - OPTIONAL.keys()):
        raise ShapeError(f"engine has no {missing!r}")
    for name in about["engine"]:
        if name not in known:
            raise ShapeError(f"engine has no parameter {name!r}; it has {', '.join(sorted(known))}")
    streamed = bool(about["engine"].get("weight_window"))
    for name in ("weight_memory", "stalls"):
        if streamed != (name in about):
            raise ShapeError(
                f"the engine has {'a' if streamed else 'no'} weight_window, and {name!r} is "
                f"{'missing' if streamed else 'stated'}"
            )
    batch = about.get("batch")
    for name in ("input", "output"):
        if batch is not None and about[name]["shape"][:1] != [batch]:
            raise ShapeError(
                f"a run computes {batch} samples, and {name} has the shape {about[name]['shape']}, which does not "
                "begin with that"
            )
    for name in ("cycles", "mac_cycles", "origins", *(["stalls"] if streamed else [])):
        if len(about[name]) != about["vectors"]:
            raise ShapeError(
                f"{name} are stated of {len(about[name])} vectors, and there are {about['vectors']}"
            )


def demand_port(port: Port, depth: int, name: str) -> None:
    """Raise `ShapeError` unless every word of the port is inside an activation memory of this depth."""
    last = port.address + (port.words - 1) // port.run * port.stride + (port.words - 1) % port.run
    if last >= depth:
        raise ShapeError(f"{name} ends at address {last}, and the activation memory has {depth} words")


def demand_halves(halves: Halves | None, config: EngineConfig) -> None:
    """Raise `ShapeError` unless a second place of the input, and the word that chooses, are inside the memory."""
    if halves is None:
        return
    if not config.host_writes:
        raise ShapeError("the next input is written ahead, and the engine has no host_writes")
    demand_port(halves.second, config.activation_depth, "the second input")
    if halves.word >= config.activation_depth:
        raise ShapeError(
            f"the word that chooses an input is at address {halves.word}, and the activation memory has "
            f"{config.activation_depth} words"
        )


def word_bits(config: EngineConfig, kind: str) -> int:
    """The bits of a word of this kind of file, for this engine."""
    lanes, word = config.lanes, config.activation_width
    bits: dict[str, int] = {
        "program": 32,
        "weights": lanes * config.weight_width,
        "stream": lanes * config.weight_width,
        "parameters": config.parameter_width,
        "activations": lanes * word,
        "status": 32,
    }
    return bits.get(kind, word)


def depth(config: EngineConfig, kind: str) -> int | None:
    """The number of words that the engine's memory for this kind of image holds; None for vectors."""
    depths = {
        "program": config.program_depth,
        "weights": config.resident_rows,
        "parameters": config.parameter_depth,
        "tables": config.table_depth,
        "activations": config.activation_depth // config.lanes,
    }
    return depths.get(kind)
