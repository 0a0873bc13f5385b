# SPDX-License-Identifier: MIT
"""Plans: one quantizer for every cast point of a network, readable and editable as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.network.json_shapes import shown
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.precision.plan_weights import array_of_text

INPUT, WEIGHTS = "input", "weights"
LARGEST = 1 << 26  # bytes; the plan of a network with a thousand cast points has a thousandth of it
PlanEntry = Quantizer | ChannelQuantizer | Accumulator | None


def input_paths(net: Any) -> tuple[str, ...]:
    """("input",), or for a graph of several inputs "input.NAME" for each of them."""
    names = getattr(net, "inputs", ())
    return tuple(f"{INPUT}.{name}" for name in names) if len(names) > 1 else (INPUT,)


class PlanError(ValueError):
    """Raised for a plan that does not fit its network, or a text that is not a plan."""


@dataclass(frozen=True)
class Plan(Mapping[str, PlanEntry]):
    """A mapping from paths (`input`, and those of `tree.walk`) to quantizers.

    Parameters, cast points and tables (for their outputs) have a `Quantizer` or `ChannelQuantizer`, accumulator points
    an `Accumulator`; None keeps every bit. `sample_shape` is the shape of one calibration sample, if known; JSON does
    not hold it. `weights` are parameters that replace the network's own, encoded by `plan_weights`.
    """

    entries: Mapping[str, PlanEntry]
    sample_shape: tuple[int, ...] | None = field(default=None, compare=False)
    weights: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))
        named = {path: _named(entry, path) for path, entry in self.entries.items()}
        object.__setattr__(self, "entries", MappingProxyType(named))

    def __getitem__(self, path: str) -> PlanEntry:
        return self.entries[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __hash__(self) -> int:
        return hash(self.to_json())

    def format(self, path: str) -> QFormat | None:
        """The format at this path; None if every bit is kept."""
        entry = self.entries[path]
        return None if entry is None else entry.format

    def changed(self, entries: Mapping[str, PlanEntry]) -> Plan:
        """The plan with these entries replaced or added."""
        return replace(self, entries={**self.entries, **entries})

    def __getstate__(self) -> dict[str, Any]:
        """The fields with plain dictionaries, so that plans can be copied and sent to other processes."""
        return {**self.__dict__, "entries": dict(self.entries), "weights": dict(self.weights)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        proxies = {name: MappingProxyType(state[name]) for name in ("entries", "weights")}
        self.__dict__.update({**state, **proxies})

    # ---- JSON -----------------------------------------------------------------------------

    def to_json(self) -> str:
        """The plan as JSON: one line per entry, and one for the weights, if any."""
        lines = [
            f"  {json.dumps(path)}: {json.dumps(_encode(entry))}" for path, entry in self.entries.items()
        ]
        if self.weights:
            lines.append(f"  {json.dumps(WEIGHTS)}: {json.dumps(dict(self.weights))}")
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The inverse of `to_json`; raises PlanError."""
        try:
            code = json.loads(text, object_pairs_hook=_unique)
        except PlanError:
            raise
        except json.JSONDecodeError as error:
            raise PlanError(f"the plan is not JSON: {' '.join(str(error).split())}") from error
        except ValueError:
            raise PlanError(
                "the plan is not JSON that can be read: it has a number of thousands of digits"
            ) from None
        except RecursionError:
            raise PlanError("the plan is not JSON that can be read: it is nested too deeply") from None
        if not isinstance(code, dict):
            raise PlanError(f"a plan is a JSON object of paths and quantizers, not {shown(code)}")
        weights = _weights(code.pop(WEIGHTS, {}))
        return cls({path: _decode(path, value) for path, value in code.items()}, weights=weights)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a file as JSON, atomically."""
        write_whole(path, self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """The plan in a file; raises PlanError."""
        try:
            if Path(path).stat().st_size > LARGEST:
                raise PlanError(f"{path} is larger than {LARGEST} bytes, which no plan is; name another file")
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no plan {path}") from None
        except UnicodeDecodeError:
            raise PlanError(f"{path} is not a text file, so it is not a plan") from None
        try:
            return cls.from_json(text)
        except PlanError as error:
            raise PlanError(f"{path}: {error}") from error


def _named(entry: PlanEntry, path: str) -> PlanEntry:
    """The entry with its path as its name, which statistics and listings show."""
    if isinstance(entry, ChannelQuantizer):
        return ChannelQuantizer(replace(entry.quantizer, name=path), entry.shifts)
    return None if entry is None else replace(entry, name=path)


def _encode(entry: PlanEntry) -> Any:
    if entry is None:
        return None
    if isinstance(entry, ChannelQuantizer):
        frac_bits = [channel.format.frac_bits for channel in entry.channels]
        return {"quantizer": str(entry.quantizer), "channel_frac_bits": frac_bits}
    if isinstance(entry, Accumulator):
        product = {} if entry.product is None else {"product": str(entry.product)}
        return {"accumulator": str(Quantizer(entry.format, overflow=entry.overflow)), **product}
    return str(entry)


def _decode(path: str, value: Any) -> PlanEntry:
    """The entry of a plan's JSON value; raises PlanError, naming the path."""
    keys = sorted(value) if isinstance(value, dict) else []
    try:
        if value is None:
            return None
        if isinstance(value, str):
            return Quantizer.parse(value)
        if keys in (["accumulator"], ["accumulator", "product"]):
            total = Quantizer.parse(value["accumulator"])
            product = Quantizer.parse(value["product"]) if "product" in value else None
            return Accumulator(total.format, total.overflow, product)
        if keys == ["channel_frac_bits", "quantizer"]:
            quantizer, channels = Quantizer.parse(value["quantizer"]), value["channel_frac_bits"]
            if not isinstance(channels, list) or not all(type(bits) is int for bits in channels):
                raise ValueError(f"channel_frac_bits is a list of integers, not {channels!r}")
            return ChannelQuantizer(quantizer, tuple(quantizer.format.frac_bits - bits for bits in channels))
    except (ValueError, TypeError) as error:
        raise PlanError(f"{_short(repr(path))} of the plan is impossible: {_short(str(error))}") from error
    raise PlanError(
        f"{_short(repr(path))} of the plan is {json.dumps(value)[:80]}; write a quantizer such as "
        '"ap_fixed<8,2,AP_RND_CONV,AP_SAT>", or null to keep every bit'
    )


def _weights(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise PlanError(f"the weights of the plan are an object of paths and texts, not {shown(value)}")
    for path, text in value.items():
        try:
            array_of_text(text)
        except ValueError as error:
            raise PlanError(f"{_short(repr(path))} of the plan is impossible: {error}") from error
    return value


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise PlanError(f"the plan has {_short(repr(key))} twice; keep one of them")
        seen[key] = value
    return seen
