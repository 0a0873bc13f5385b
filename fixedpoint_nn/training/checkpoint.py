# SPDX-License-Identifier: MIT
"""Checkpoints: weights, optimiser state, curves, the best weights so far, and the position within the epoch."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as to_bytes

from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.network.json_shapes import (
    JsonAny,
    JsonBoolean,
    JsonInteger,
    JsonList,
    JsonMap,
    JsonNumber,
    JsonObject,
    JsonOrNull,
    JsonText,
    ShapeError,
    demand,
    parsed,
)
from fixedpoint_nn.network.serialization import (
    FileError,
    content_of,
    matches_checksum,
    read_tensors,
    with_checksum,
)
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.history import History
from fixedpoint_nn.training.optimisers import Optimiser

ANEW = "delete it to start anew"
HISTORY = JsonObject(
    {
        "curves": JsonMap(JsonList(JsonNumber(finite=False))),
        "best_epoch": JsonOrNull(JsonInteger()),
        "stopped_early": JsonBoolean(),
    }
)
STARTED = JsonObject({"batches": JsonInteger(), "total": JsonNumber(finite=False), "rng": JsonMap(JsonAny())})
NOTES = JsonObject(
    {
        "history": HISTORY,
        "seed": JsonInteger(),
        "steps": JsonInteger(),
        "optimiser": JsonText(),
        "sha256": JsonText(),
    },
    {"settings": JsonMap(JsonAny()), "started": STARTED},
)


class CheckpointError(ValueError):
    """Raised for a file that is not a checkpoint of this training, or is damaged."""


SHORTEST_INTERVAL = 60.0  # seconds between two saves within an epoch
LEAST_SHARE = 50  # and at least this multiple of the time that a save takes


@dataclass(frozen=True)
class StartedEpoch:
    """The position within an epoch: batches done, the sum of their losses, the state of the random generator."""

    batches: int
    total: float
    rng: Mapping[str, Any]


@dataclass
class Checkpoint:
    """A file from which an interrupted training resumes; an interrupted save leaves the previous file.

    It is saved after every epoch, and periodically within a long one.
    """

    path: Path
    parameters: Mapping[str, Tensor]
    optimiser: Optimiser
    settings: Mapping[str, Any] = field(default_factory=dict)  # what else determines the training, as JSON
    started: StartedEpoch | None = None  # of the unfinished epoch that `resume` found
    _last: float = field(default_factory=lambda: time.monotonic())
    _took: float = 0.0

    def is_due(self) -> bool:
        """Whether enough time has passed since the last save, compared with the time that a save takes."""
        return time.monotonic() - self._last >= max(SHORTEST_INTERVAL, LEAST_SHARE * self._took)

    def save(
        self, history: History, best: Mapping[str, Array], seed: int, started: StartedEpoch | None = None
    ) -> None:
        """Write the checkpoint after an epoch, or within the one that has `started`."""
        begin = time.monotonic()
        arrays = {f"weight/{path}": parameter.data for path, parameter in self.parameters.items()}
        arrays |= {f"best/{path}": values for path, values in best.items()}
        for path, moments in self.optimiser.state.items():
            arrays |= {f"moment/{path}/{name}": values for name, values in moments.items()}
        notes = {"history": asdict(history), "seed": seed, "steps": self.optimiser.steps, **self._kind()}
        if started is not None:
            notes["started"] = asdict(started)
        arrays = {name: np.asarray(values, order="C") for name, values in arrays.items()}
        blob = to_bytes(arrays, {"checkpoint": json.dumps(with_checksum(notes, arrays))})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, blob)
        self._last = time.monotonic()
        self._took = self._last - begin

    def resume(self, history: History, best: dict[str, Array], seed: int) -> int:
        """Restore the training in place; returns the number of epochs done (0 without a file)."""
        if not self.path.exists():
            return 0
        notes, arrays = _read(self.path)
        self._demand_same(notes, arrays, seed)
        for name, values in arrays.items():
            kind, _, path = name.partition("/")
            if kind == "weight":
                self.parameters[path].data[...] = values
            elif kind == "best":
                best[path] = values
            else:
                path, _, moment = path.rpartition("/")
                self.optimiser.state.setdefault(path, {})[moment] = values
        self.optimiser.steps = notes["steps"]
        for name in HISTORY.required:
            setattr(history, name, notes["history"][name])
        if "started" in notes:
            self.started = StartedEpoch(**{name: notes["started"][name] for name in STARTED.required})
        return len(history)

    def _kind(self) -> dict[str, Any]:
        return {"optimiser": type(self.optimiser).__name__, "settings": dict(self.settings)}

    def _demand_same(self, notes: Mapping[str, Any], arrays: Mapping[str, Array], seed: int) -> None:
        """Raise CheckpointError unless the checkpoint has this training's seed, settings, optimiser and parameters."""
        before, wanted = notes.get("settings", {}), dict(self.settings)
        for name in dict.fromkeys((*wanted, *before)):
            if before.get(name) != wanted.get(name):
                raise CheckpointError(
                    f"{self.path} belongs to a training with {name} {before.get(name)}, not {wanted.get(name)}; "
                    "go on as it began, or delete it to start anew"
                )
        now = {path: parameter.shape for path, parameter in self.parameters.items()}
        then = {
            name.removeprefix("weight/"): values.shape
            for name, values in arrays.items()
            if name.startswith("weight/")
        }
        if now != then or notes["optimiser"] != type(self.optimiser).__name__ or notes["seed"] != seed:
            raise CheckpointError(
                f"{self.path} belongs to another training (network, optimiser or seed differ); "
                "delete it or give another checkpoint file"
            )
        for name, values in arrays.items():
            if not self._belongs(name, values):
                raise CheckpointError(
                    f"{self.path} is no checkpoint of a training: {name!r} of shape {values.shape} has no place in "
                    f"this one; {ANEW}"
                )

    def _belongs(self, name: str, values: Array) -> bool:
        """Whether this array is a weight, a best weight or a moment of one, of the right shape."""
        kind, _, path = name.partition("/")
        path, _, moment = path.rpartition("/") if kind == "moment" else (path, "", "")
        known = self.parameters.get(path)
        return (
            known is not None
            and values.dtype == known.data.dtype
            and (values.shape == known.shape)
            and (kind in ("weight", "best") or (kind == "moment" and moment in self.optimiser.moments))
        )


@dataclass(frozen=True)
class Stored:
    """The settings and the progress of the training in a checkpoint."""

    settings: Mapping[str, Any]
    seed: int
    epochs: int
    batches: int = 0  # done of the epoch after those

    def __str__(self) -> str:
        epochs = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
        batches = f"{self.batches} batch{'' if self.batches == 1 else 'es'}"
        if not self.batches:
            return epochs
        return f"{epochs} and {batches}" if self.epochs else batches


def stored(path: Path) -> Stored:
    """The settings and progress in a checkpoint file, without its weights."""
    notes, _ = _read(path)
    done = len(History(**{name: notes["history"][name] for name in HISTORY.required}))
    batches = notes["started"]["batches"] if "started" in notes else 0
    return Stored(dict(notes.get("settings", {})), notes["seed"], done, batches)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """(notes, arrays) of a checkpoint file, checked."""
    try:
        arrays, text = read_tensors(content_of(path), "checkpoint", path)
        if text is None:
            raise ShapeError("it is a safetensors file of something else")
        notes = parsed(text, constants=True)
        demand(notes, NOTES)
    except (FileError, ShapeError) as error:
        about = str(error).partition(" (")[2].rpartition(")")[0] if isinstance(error, FileError) else error
        raise CheckpointError(f"{path} is no checkpoint of a training: {about}; {ANEW}") from None
    if not matches_checksum(notes, arrays):
        raise CheckpointError(f"{path} is damaged: its checksum does not match; {ANEW}")
    return notes, arrays
