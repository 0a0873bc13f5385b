# SPDX-License-Identifier: MIT
"""Dataclass instances from values of a file, checked against the class's annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from fixedpoint_nn.network.tree import is_layer
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.number import Number, TrainingNumber
from fixedpoint_nn.numbers.tensor.tensor import Tensor


class FieldError(ValueError):
    """Raised for fields of an object that are wrong; the message is the end of a sentence."""


def made(cls: type, values: Mapping[str, Any]) -> Any:
    """An instance of a dataclass; raises FieldError unless every field exists and has its declared type."""
    known = {field.name: field for field in fields(cls) if field.init}
    for name in values:
        if name not in known:
            raise FieldError(f"a {cls.__name__} has no field {name!r}; it has {', '.join(known) or 'none'}")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise FieldError(f"the {name!r} of a {cls.__name__} is missing")
    hints = _hints(cls)
    for name, value in values.items():
        if not fits(value, hints[name]):
            raise FieldError(f"the {name!r} of a {cls.__name__} cannot be {_shown(value)}")
    try:
        return cls(**values)
    except (TypeError, ValueError, OverflowError) as error:
        raise FieldError(" ".join(str(error).split())[:300]) from error


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has the type that an annotation declares."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(parts) == 2 and parts[1] is Ellipsis:
            return all(fits(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(fits, value, parts))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            fits(key, parts[0]) and fits(item, parts[1]) for key, item in value.items()
        )
    if origin is Callable or _is_callable(origin):
        return is_layer(value)
    if hint in (Number, TrainingNumber):
        return isinstance(value, Tensor | FixedArray)
    if hint in (None, NoneType):
        return value is None
    if hint in (int, float):
        allowed = int if hint is int else int | float
        return isinstance(value, allowed) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint)


def _is_callable(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, get_origin(Callable[..., Any]) or object)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _shown(value: Any) -> str:
    if isinstance(value, tuple | Mapping):
        return f"{'a list' if isinstance(value, tuple) else 'an object'} of {len(value)}"
    if value is None or isinstance(value, bool | int | float | str):
        text = "null" if value is None else repr(value)
        return text if len(text) <= 60 else f"{text[:60]}..."
    return f"a {type(value).__name__}"
