# SPDX-License-Identifier: MIT
"""Where a trained network goes."""

from __future__ import annotations

from pathlib import Path

from fixedpoint_nn.cli.errors import CommandError

ENDING = ".safetensors"


def network_file(out: Path | None, name: str) -> Path:
    """`--out` as a file: in a folder that is there already the network has its own name."""
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
