# SPDX-License-Identifier: MIT
"""Memory images as text: Vivado's .coe, the .mem of `$readmemh`, and Quartus's .mif.

A word is an unsigned Python int: the bit pattern. `unsigned` and `signed` translate two's complement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixedpoint_nn.hardware.isa.bit_packing import ImageError, digits

RADIXES = (2, 10, 16)
_KEYWORD = re.compile(r"\s*([A-Za-z_]+)\s*=\s*([^;]*);([^\n]*)")
_DIGITS = {2: re.compile(r"[01]+"), 10: re.compile(r"[0-9]+"), 16: re.compile(r"[0-9A-Fa-f]+")}
_MIF_LINE = re.compile(r"([0-9A-Fa-f]+)\s*:\s*([0-9A-Fa-f]+)\s*;")


def _check(words: Sequence[int], bits: int) -> None:
    if not words:
        raise ImageError("a memory image has at least one word, and this one has none")
    for place, word in enumerate(words):
        if not 0 <= word < 1 << bits:
            raise ImageError(f"word {place} is {word}, which is no pattern of {bits} bits")


def _text(word: int, bits: int, radix: int) -> str:
    if radix == 16:
        return f"{word:0{digits(bits)}x}"
    return f"{word:0{bits}b}" if radix == 2 else str(word)


def write_coe(words: Sequence[int], bits: int, radix: int = 16, comment: str = "") -> str:
    """The text of a .coe file: one word per line."""
    if radix not in RADIXES:
        raise ImageError(f"a .coe file has radix 2, 10 or 16, not {radix}")
    _check(words, bits)
    head = f"; {comment}\n" if comment else ""
    body = ",\n".join(_text(word, bits, radix) for word in words)
    return f"{head}memory_initialization_radix={radix};\nmemory_initialization_vector=\n{body};\n"


def read_coe(text: str, bits: int, name: str = "the .coe text") -> list[int]:
    """The words of a .coe file of radix 2, 10 or 16; text after the vector is ignored, as by Vivado."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(";")]
    body = "\n".join(lines) + "\n"
    place, radix = 0, None
    while found := _KEYWORD.match(body, place):
        keyword, value = found[1].lower(), found[2]
        if keyword in ("memory_initialization_radix", "radix"):
            if value.strip() not in map(str, RADIXES):
                raise ImageError(
                    f"{name} has radix {value.strip()[:40]!r}; a .coe file has radix 2, 10 or 16"
                )
            radix = int(value)
        elif keyword == "memory_initialization_vector":
            if radix is None:
                raise ImageError(f"{name} has no memory_initialization_radix before its vector")
            return _parse(re.split(r"[\s,]+", value.strip(" \t\n,")), radix, bits, name)
        place = found.end()
    raise ImageError(
        f"{name} has no memory_initialization_vector that ends with a semicolon; it may be cut short"
    )


def _parse(tokens: Sequence[str], radix: int, bits: int, name: str) -> list[int]:
    """The words of a file as bit patterns of at most `bits` bits; raises ImageError."""
    if list(tokens) == [""]:
        return []
    pattern, words, longest = _DIGITS[radix], [], bits + 64  # digits; some programs write leading zeros
    for place, token in enumerate(tokens):
        if not pattern.fullmatch(token):
            raise ImageError(f"word {place} of {name} is {token[:40]!r}, which is no number of radix {radix}")
        word = int(token, radix) if len(token) <= longest else -1
        if word >> bits:
            raise ImageError(f"word {place} of {name} is {token[:40]!r}, which has more than {bits} bits")
        words.append(word)
    return words


def write_mem(words: Sequence[int], bits: int) -> str:
    """The text for `$readmemh`: one word per line, exactly ceil(bits / 4) digits."""
    _check(words, bits)
    return "".join(f"{_text(word, bits, 16)}\n" for word in words)


def read_mem(text: str, bits: int, name: str = "the .mem text") -> list[int]:
    """The words of a file for `$readmemh`, without addresses; raises ImageError."""
    body = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    return _parse(body.split() or [""], 16, bits, name)


def write_mif(words: Sequence[int], bits: int) -> str:
    """The text of a .mif file for Quartus."""
    _check(words, bits)
    head = f"WIDTH={bits};\nDEPTH={len(words)};\nADDRESS_RADIX=HEX;\nDATA_RADIX=HEX;\nCONTENT BEGIN\n"
    return (
        head
        + "".join(f"{place:x} : {_text(word, bits, 16)};\n" for place, word in enumerate(words))
        + "END;\n"
    )


def read_mif(text: str, bits: int, name: str = "the .mif text") -> list[int]:
    """The words of a .mif file as `write_mif` writes it: addresses 0, 1, 2, ... in hexadecimal."""
    head, begin, body = text.partition("CONTENT BEGIN")
    declared: dict[str, Any] = dict(re.findall(r"(\w+)\s*=\s*(\w+)\s*;", head))
    entries = _MIF_LINE.findall(body)
    depth = f"{len(entries)}"
    if (
        not begin
        or declared.get("DEPTH") != depth
        or any(int(address, 16) != place for place, (address, _) in enumerate(entries))
    ):
        raise ImageError(f"{name} does not hold the words 0 to DEPTH - 1 in order; it may be cut short")
    return _parse([word for _, word in entries] or [""], 16, bits, name)


@dataclass(frozen=True)
class MemoryImage:
    """A memory image in a file for `$readmemh`, and its number of words."""

    path: Path
    words: int
