# SPDX-License-Identifier: MIT
"""`--data samples.npz`: a user's samples, in the arrays `x` and `y`."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.numerics.arrays import Array

# Exceptions of NumPy and the standard library for files that are no archive, or a damaged one.
DAMAGED = (
    ValueError, TypeError, LookupError, OverflowError, RecursionError, SyntaxError, EOFError, OSError, MemoryError,
    NotImplementedError, zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
HELD_OUT = 10  # the last of this many consecutive samples is held out


@dataclass(frozen=True)
class SamplesFile:
    """Inputs `x` (n, ...) and, if the file has them, labels `y` (n, ...) and the `symbols` of a language model."""

    path: Path
    x: Array
    y: Array | None = None
    symbols: str | None = None

    def labels(self) -> Array:
        """The labels; raises CommandError if there are none."""
        if self.y is None:
            raise CommandError(f"{self.path} holds no labels; save them too: np.savez(path, x=x, y=y)")
        return self.y

    def split(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """((x, y) for training, (x, y) held out): every tenth sample is held out."""
        y = self.labels()
        if len(self.x) < HELD_OUT:
            raise CommandError(
                f"{self.path} holds {len(self.x)} samples; training needs {HELD_OUT} or more, "
                "because every tenth one is held out"
            )
        held = np.arange(len(self.x)) % HELD_OUT == HELD_OUT - 1
        return (self.x[~held], y[~held]), (self.x[held], y[held])


def load(path: Path) -> SamplesFile:
    """The samples in a file; raises CommandError."""
    arrays = arrays_of(path)
    if "x" not in arrays:
        raise CommandError(
            f"{path} holds {', '.join(arrays) or 'nothing'}, and no x; save samples by np.savez(path, x=x, y=y)"
        )
    x, y = arrays["x"], arrays.get("y")
    check_inputs("x", x, path)
    if y is not None and (y.ndim == 0 or len(y) != len(x)):
        raise CommandError(f"{path} holds {len(x)} inputs and labels of shape {y.shape}; each needs one")
    symbols = arrays.get("symbols")
    return SamplesFile(Path(path), x, y, None if symbols is None else "".join(map(str, symbols.reshape(-1))))


def load_inputs(path: Path, names: Sequence[str]) -> list[Array]:
    """The samples of several inputs, from the arrays with their names."""
    arrays = arrays_of(path)
    missing = [name for name in names if name not in arrays]
    if missing:
        saved = ", ".join(f"{name!r}: ..." for name in names)
        raise CommandError(
            f"{path} holds {', '.join(arrays) or 'nothing'}, and no {missing[0]}; the network has several inputs, "
            f"so save an array for each: np.savez(path, **{{{saved}}})"
        )
    for name in names:
        check_inputs(name, arrays[name], path)
    return [arrays[name] for name in names]


def arrays_of(path: Path) -> dict[str, Array]:
    """All arrays of a file, by name."""
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise CommandError(f"{path} is one array; save samples by np.savez(path, x=x, y=y)")
        with file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise CommandError(f"there is no file {path} with samples") from None
    except DAMAGED as error:
        raise CommandError(
            f"{path} holds no samples that can be read ({' '.join(str(error).split())[:120]}); "
            "save them by np.savez(path, x=x, y=y)"
        ) from error


def check_inputs(name: str, x: Array, path: Path) -> None:
    """Raise CommandError unless the array holds numeric samples."""
    if x.dtype.kind not in "iuf" or x.ndim < 2 or not len(x):
        raise CommandError(
            f"{name} of {path} is {x.dtype} of shape {x.shape}; it needs numbers, with one row for each sample"
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise CommandError(f"{name} of {path} holds NaN or infinity; leave those samples out")
