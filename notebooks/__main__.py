# SPDX-License-Identifier: MIT
"""`python -m notebooks [NAME...]`: execute those whose name contains NAME (or all), and keep the outputs."""

import sys
import tempfile
import time
from pathlib import Path

import nbformat

from notebooks.execute import executed, paths


def main(names: list[str]) -> None:
    for path in paths():
        if names and not any(name in path.name for name in names):
            continue
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(executed(path, Path(folder)), path)
        print(f"{path.name}: {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
