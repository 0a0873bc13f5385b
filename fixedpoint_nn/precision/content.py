# SPDX-License-Identifier: MIT
"""Digests of content as keys of stored results: equal content has an equal digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any
from uuid import uuid4

import numpy as np

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.tensor.tensor import Tensor

PACKAGE = Path(str(files("fixedpoint_nn")))
# Other folders do not change a computed point: command line, reports, hardware, data sources.
COMPUTING = ("numerics", "numbers", "layers", "network", "precision", "training")


def digest(*things: Any) -> str:
    """The SHA-256, in hex, of networks, arrays, plans, dataclasses, functions (by name) and plain values."""
    total = hashlib.sha256()
    for thing in things:
        for part in _parts(thing):
            total.update(len(part).to_bytes(8, "little"))
            total.update(part)
    return total.hexdigest()


def _parts(thing: Any) -> Iterator[Any]:
    """The bytes and parts that identify a value, by its type; raises TypeError for other types."""
    if isinstance(thing, Tensor):
        thing = thing.data
    elif isinstance(thing, FixedArray):
        yield repr(thing.format).encode()
        thing = thing.ints
    if isinstance(thing, np.ndarray):
        yield f"{thing.dtype.str} {thing.shape}".encode()
        yield np.ascontiguousarray(thing).reshape(-1).view(np.uint8).data if thing.size else b""
    elif isinstance(thing, bytes):
        yield thing
    elif isinstance(thing, Enum):
        yield f"{type(thing).__name__}.{thing.name}".encode()
    elif isinstance(thing, Mapping):
        yield f"mapping of {len(thing)}".encode()
        for key, value in thing.items():
            yield from _parts(key)
            yield from _parts(value)
    elif is_dataclass(thing) and not isinstance(thing, type):
        yield type(thing).__qualname__.encode()
        for field in fields(thing):
            if field.compare:
                yield field.name.encode()
                yield from _parts(getattr(thing, field.name))
    elif isinstance(thing, list | tuple | range):
        yield f"sequence of {len(thing)}".encode()
        for value in thing:
            yield from _parts(value)
    elif isinstance(thing, Callable) and hasattr(thing, "__qualname__"):  # type: ignore[arg-type]
        yield f"{thing.__module__}.{thing.__qualname__}".encode()
    elif thing is None or isinstance(thing, str | int | float | np.generic):
        yield f"{type(thing).__name__} {thing!r}".encode()
    elif hasattr(thing, "__dict__"):
        yield type(thing).__qualname__.encode()
        yield from _parts({name: value for name, value in vars(thing).items() if not name.startswith("_")})
    else:
        raise TypeError(f"a {type(thing).__name__} cannot be part of the key of a result")


def function_digest(function: Callable[..., Any]) -> str:
    """The digest of a user's function: its code, its defaults, and the values that it refers to.

    If these cannot be determined, the digest is random, so that no stored result is reused.
    """
    try:
        return digest(*_function_parts(function, set()))
    except TypeError:
        return uuid4().hex


def _function_parts(function: Any, seen: set[int]) -> Iterator[Any]:
    """Code, defaults, closure and referenced globals, recursively for functions."""
    if not isinstance(function, FunctionType):
        if isinstance(function, partial):
            yield from _function_parts(function.func, seen)
            yield [list(function.args), function.keywords]
            return
        raise TypeError(
            f"what a {type(function).__name__} computes cannot be identified; give a function of a module"
        )
    if id(function) in seen:
        return
    seen.add(id(function))
    yield from _code_parts(function.__code__)
    values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    values += [cell.cell_contents for cell in function.__closure__ or ()]
    values += [
        function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__
    ]
    for value in values:
        if isinstance(value, FunctionType):
            yield from _function_parts(value, seen)
        elif isinstance(value, ModuleType | type):
            yield value.__name__
        else:
            yield value


def _code_parts(code: CodeType) -> Iterator[Any]:
    yield code.co_code
    yield list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_parts(constant)
        else:
            yield repr(constant)


def sources_digest(*rooms: str) -> str:
    """The digest of all Python files in these folders of the package, recursively."""
    paths = sorted(path for room in rooms for path in (PACKAGE / room).rglob("*.py"))
    return digest([(path.relative_to(PACKAGE).as_posix(), path.read_bytes()) for path in paths])


@cache
def code_version() -> str:
    """The digest of the sources that compute a point: after any change of them, points are computed again."""
    return sources_digest(*COMPUTING)
