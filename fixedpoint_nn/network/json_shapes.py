# SPDX-License-Identifier: MIT
"""JSON of untrusted files: strict parsing, and a schema check.

A value that does not fit raises `ShapeError`, whose message says where, what was found, and what was expected:
`runs[3].place is "many", not a whole number from 0 on`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

LARGEST = (1 << 63) - 1
FARTHEST = 1e30  # larger numbers are no measurement, and cannot be plotted


class ShapeError(ValueError):
    """Raised for a JSON text, or a value in it, that is wrong; the message is the end of a sentence."""


class JsonShape(Protocol):
    """A schema: what a JSON value must be."""

    def demand(self, value: Any, place: str) -> None:
        """Raise `ShapeError` unless the value at the path `place` has this shape."""


def parsed(text: str | bytes, constants: bool = False) -> Any:
    """The value of a JSON text; NaN and Infinity, which are not JSON, only with `constants`."""

    def refused(name: str) -> float:
        raise ShapeError(f"it is not JSON: {name} is no number")

    try:
        letters = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(letters, parse_constant=None if constants else refused)
    except ShapeError:
        raise
    except json.JSONDecodeError as error:
        raise ShapeError(
            f"it is not JSON: {error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}"
        ) from None
    except UnicodeDecodeError as error:
        raise ShapeError(f"it is not JSON: byte {error.start} is no UTF-8") from None
    except ValueError:
        raise ShapeError("it is not JSON that can be read: it has a number of thousands of digits") from None
    except RecursionError:
        raise ShapeError("it is not JSON that can be read: it is nested too deeply") from None


def demand(value: Any, shape: JsonShape, place: str = "") -> None:
    """Raise `ShapeError` unless the value has this shape."""
    shape.demand(value, place)


def shown(value: Any, most: int = 60) -> str:
    """The value as text for a message: on one line, at most `most` characters."""
    if isinstance(value, list | dict) and value:
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {value.bit_length()} bits"
    text = json.dumps(value) if not isinstance(value, float) else repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


def _wrong(value: Any, place: str, expected: str) -> ShapeError:
    return ShapeError(f"{place or 'it'} is {shown(value)}, not {expected}")


@dataclass(frozen=True)
class JsonInteger:
    """An integer from `low` to `high`, both included."""

    low: int = 0
    high: int = LARGEST

    def demand(self, value: Any, place: str) -> None:
        """Raise ShapeError, naming the place, unless the value is one."""
        if type(value) is not int or not self.low <= value <= self.high:
            beyond = isinstance(value, int) and value > self.high
            end = f"to {self.high}" if beyond or self.high < LARGEST else "on"
            raise _wrong(value, place, f"a whole number from {self.low} {end}")


@dataclass(frozen=True)
class JsonNumber:
    """A float of a plottable magnitude; if not `finite`, also NaN and infinities; if `positive`, above 0."""

    finite: bool = True
    positive: bool = False

    def demand(self, value: Any, place: str) -> None:
        """Raise ShapeError, naming the place, unless the value is one."""
        known = isinstance(value, int | float) and not isinstance(value, bool)
        allowed = known and (abs(value) <= FARTHEST or not (self.finite or math.isfinite(value)))
        if not allowed or (self.positive and value <= 0):
            raise _wrong(
                value, place, "a number above 0" if self.positive else f"a number up to {FARTHEST:g}"
            )


@dataclass(frozen=True)
class JsonText:
    """A string for which `matches` is true; `expected` describes it in messages."""

    expected: str = "a text"
    matches: Callable[[str], object] = field(default=lambda text: True)

    def demand(self, value: Any, place: str) -> None:
        """Raise ShapeError, naming the place, unless the value is one."""
        if not isinstance(value, str) or not self.matches(value):
            raise _wrong(value, place, self.expected)


@dataclass(frozen=True)
class JsonBoolean:
    """True or false."""

    def demand(self, value: Any, place: str) -> None:
        """Raise ShapeError, naming the place, unless the value is one."""
        if not isinstance(value, bool):
            raise _wrong(value, place, "true or false")


@dataclass(frozen=True)
class JsonOrNull:
    """This shape, or null."""

    shape: JsonShape

    def demand(self, value: Any, place: str) -> None:
        """Raise ShapeError, naming the place, unless the value is one."""
        if value is not None:
            self.shape.demand(value, place)


@dataclass(frozen=True)
class JsonEither:
    """One of two shapes; the message of a mismatch is that of the second."""

    first: JsonShape
    second: JsonShape

    def demand(self, value: Any, place: str) -> None:
        """Raise ShapeError, naming the place, unless the value is one."""
        try:
            self.first.demand(value, place)
        except ShapeError:
            self.second.demand(value, place)


@dataclass(frozen=True)
class JsonAny:
    """Any value."""

    def demand(self, value: Any, place: str) -> None:
        """Never raises."""


@dataclass(frozen=True)
class JsonList:
    """A list of values of one shape, of exactly `length` or of `least` and more elements."""

    shape: JsonShape
    length: int | None = None
    least: int = 0

    def demand(self, value: Any, place: str) -> None:
        """Raise ShapeError, naming the place, unless the value is one."""
        count = "a list" if self.length is None else f"a list of {self.length}"
        if not isinstance(value, list) or self.length not in (None, len(value)):
            raise _wrong(value, place, count)
        if len(value) < self.least:
            raise _wrong(value, place, f"a list of {self.least} at least")
        for index, item in enumerate(value):
            self.shape.demand(item, f"{place}[{index}]")


@dataclass(frozen=True)
class JsonMap:
    """An object with any keys, and values of one shape."""

    shape: JsonShape

    def demand(self, value: Any, place: str) -> None:
        """Raise ShapeError, naming the place, unless the value is one."""
        if not isinstance(value, dict):
            raise _wrong(value, place, "an object of names and values")
        for key, item in value.items():
            self.shape.demand(item, f"{place}[{shown(key, 40)}]")


@dataclass(frozen=True)
class JsonObject:
    """An object with these keys; `optional` ones may be missing, and others are ignored."""

    required: Mapping[str, JsonShape]
    optional: Mapping[str, JsonShape] = field(default_factory=dict)

    def demand(self, value: Any, place: str) -> None:
        """Raise ShapeError, naming the place, unless the value is one."""
        if not isinstance(value, dict):
            raise _wrong(value, place, f"an object with {', '.join(self.required)}")
        for key, shape in self.required.items():
            if key not in value:
                raise ShapeError(f"{place or 'it'} has no {key!r}")
            shape.demand(value[key], f"{place}.{key}" if place else key)
        for key, shape in self.optional.items():
            if key in value:
                shape.demand(value[key], f"{place}.{key}" if place else key)
