# SPDX-License-Identifier: MIT
"""The path of a trained network's file."""

from __future__ import annotations

from pathlib import Path

from fixedpoint_nn.cli.errors import CommandError

ENDING = ".safetensors"


def network_file(out: Path | None, name: str) -> Path:
    """The file for `--out`: if that is an existing folder, a file in it with the network's name."""
    if out is None:
        return Path("runs", name, name + ENDING)
    if out.is_dir():
        return out / (name + ENDING)
    if out.suffix != ENDING:
        raise CommandError(
            f"--out {out} is neither a folder that is there nor a file that ends in {ENDING}; "
            f"write {out.with_name(out.name + ENDING) if out.name else name + ENDING}"
        )
    return out
