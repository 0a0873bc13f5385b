# SPDX-License-Identifier: MIT
"""Damage to files: flipped bits, cuts, repetitions, and lies that are still JSON. Everything comes from a generator."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

HUGE = "9" * 5000
DEEP = 100_000
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 17, 1 << 31, 1 << 63, 1 << 200, -(1 << 63), 0.5, -0.0, 1e308, 1e-320, float("nan"),
    float("inf"), "", "bits", "passed", "8", "\x00", "\ud800", "ä" * 300, "../../etc/passwd", "__import__('os')", [],
    {}, [[]], [None], {"": None}, {"class": "Dense"}, ["a", "b"], [1] * 50, {"items": []}, "Q(1, 0)", "ap_fixed<8,2>",
)  # fmt: skip


def flipped(content: bytes, rng: random.Random) -> bytes:
    """One to eight bits changed."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(content: bytes, rng: random.Random) -> bytes:
    """The end is missing."""
    return content[: rng.randrange(len(content) + 1)]


def repeated(content: bytes, rng: random.Random) -> bytes:
    """A part stands twice, or all of it does."""
    start = rng.randrange(len(content) + 1)
    end = rng.choice((len(content), min(len(content), start + rng.randrange(1, 65))))
    return content[:end] + content[start:end] + content[end:] if rng.random() < 0.8 else content * 2


def missing(content: bytes, rng: random.Random) -> bytes:
    """A part in the middle is missing."""
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.randrange(1, 65) :]


def overwritten(content: bytes, rng: random.Random) -> bytes:
    """A run of bytes is noise, zeros or ones, as a broken disk leaves it."""
    start, length = rng.randrange(len(content) + 1), rng.randrange(1, 513)
    filling = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return content[:start] + filling[: len(content) - start] + content[start + length :]


def large_number(content: bytes, rng: random.Random) -> bytes:
    """Eight bytes of the beginning promise something enormous."""
    place, width = rng.randrange(max(min(len(content), 64) - 8, 1)), rng.choice((4, 8))
    number = (
        rng.choice((1 << 31, (1 << 32) - 1, 1 << 30, 10**9)) if width == 4 else rng.choice((1 << 62, 1 << 40))
    )
    order = rng.choice(("little", "big"))
    return content[:place] + number.to_bytes(width, order) + content[place + width :]  # type: ignore[arg-type]


BINARY = (flipped, cut, repeated, missing, overwritten, large_number)


def lie(content: bytes, rng: random.Random) -> bytes:
    """JSON whose structure or values are other ones; or a text that no JSON should be."""
    try:
        code = json.loads(content)
    except ValueError:
        return flipped(content, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        code = changed(code, rng)
    text = json.dumps(code)
    hostile = rng.random()
    if hostile < 0.04:
        return rng.choice(
            ("[" * DEEP, '{"a":' * DEEP, HUGE, "", "null", "NaN", text + text, f"[{text}]")
        ).encode()
    if hostile < 0.10 and any(letter.isdigit() for letter in text):
        place = rng.choice([place for place, letter in enumerate(text) if letter.isdigit()])
        text = text[:place] + rng.choice((HUGE, "1e999", "-Infinity", "0x10", "1_0")) + text[place + 1 :]
    return text.encode()


def changed(code: Any, rng: random.Random) -> Any:
    """One place of a value replaced, removed, renamed, doubled or nested."""
    places = list(_places(code))
    path = rng.choice(places)
    if not path:
        return rng.choice((_other(rng), [code], {"a": code}))
    *above, key = path
    parent = code
    for step in above:
        parent = parent[step]
    old = parent[key]
    how = rng.choice(("value", "value", "value", "remove", "rename", "extra", "nest", "double", "deep"))
    if how == "value":
        parent[key] = rng.choice((_other(rng), _near(old, rng)))
    elif how == "remove":
        del parent[key]
    elif how == "rename" and isinstance(parent, dict):
        parent[rng.choice(("", "bits", f"{key}x", "x" * 500, "sha256", "class"))] = parent.pop(key)
    elif how == "extra" and isinstance(parent, dict):
        parent[rng.choice(("extra", "", "class", "tensor"))] = _other(rng)
    elif how == "nest":
        parent[key] = rng.choice(([old], {"a": old}, {str(key): old}))
    elif how == "deep":
        nested: Any = old
        for _ in range(300):
            nested = [nested]
        parent[key] = nested
    elif isinstance(parent, list):
        parent.insert(int(key), old)
    else:
        parent[key] = _other(rng)
    return code


def _other(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(VALUES))


def _near(value: Any, rng: random.Random) -> Any:
    """A value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((value + 1, -value, value * 1000, 0))
    if isinstance(value, float):
        return rng.choice((value * 2, -value, float("nan"), 1e300))
    if isinstance(value, str):
        return rng.choice((value[:-1], value + "x", value.upper(), value * 40))
    return value


def _places(code: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    keys: Any = code if isinstance(code, dict) else range(len(code)) if isinstance(code, list) else ()
    for key in keys:
        yield from _places(code[key], (*path, key))


def inside(start: int, end: int, change: Callable[[bytes, random.Random], bytes]) -> Callable[..., bytes]:
    """The same change, of a part of the content only."""
    return lambda content, rng: content[:start] + change(content[start:end], rng) + content[end:]
