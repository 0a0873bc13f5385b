# SPDX-License-Identifier: MIT
"""Damaged files of every kind, read one after the other: what became of each.

`python -m tests.support.damaged_survey COUNT SEED [KIND ...]` reads that many damaged files of each kind, in a process
with little memory, and prints as JSON what came of it. Every outcome must be one of these:

- `equal`: what was read is what was written;
- `another`: of a kind that people write by hand, another valid file;
- `refused`: one sentence, which names the file and says something.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.damaged_kinds import ERRORS, KINDS, Kind

MEMORY, SECONDS = 512 << 20, 20  # of one process beyond what its imports take; of one file
UNLIMITED = ("coe", "mem", "mif", "pack with")  # which the test reads itself, whole
ENORMOUS = 1 << 40  # bytes
SLOW = {"search's store": 3}  # how many times fewer of them

# What Python itself says, and no sentence of this project should repeat.
JARGON = re.compile(
    r"object (has no attribute|is not (iterable|callable|subscriptable))|unhashable|NoneType|unexpected keyword|"
    r"positional argument|list indices|not supported between|unsupported operand|codec can't|invalid literal for|"
    r"must be (str|int|real)\b|takes \d|substring not found|out of range|cannot be interpreted|Errno|<class|Traceback"
)


def says_something(error: BaseException, path: Path) -> str | None:
    """What is wrong with the sentence, if anything is."""
    text = str(error)
    rest = text.replace(str(path), "").replace(str(path.parents[0]), "").replace(str(path.parents[1]), "")
    if "\n" in text or not 20 < len(text) < 1200:
        return "it is no sentence of a reader's length"
    if str(path) not in text and str(path.parents[0]) not in text and str(path.parents[1]) not in text:
        return "it does not name the file"
    if len(re.findall(r"[A-Za-z]{2,}", rest)) < 5:
        return "it says nothing"
    found = JARGON.search(rest)
    return f"it speaks of Python: {found[0]}" if found else None


class TooLong(BaseException):
    """A file that takes longer to refuse than a user waits."""


def _alarm(*_: object) -> None:
    raise TooLong


def outcome(kind: Kind, path: Path, whole: object) -> tuple[str, str]:
    """What became of a damaged file: one word, and the sentence or the fault."""
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(SECONDS)
    try:
        found = kind.read(path)
    except ERRORS as error:
        fault = says_something(error, path)
        return ("fault", f"{fault}: {error}") if fault else ("refused", str(error).replace(str(path), "FILE"))
    except TooLong:
        return "fault", f"it took more than {SECONDS} seconds"
    except BaseException as error:
        return "fault", "".join(traceback.format_exception(error)[-3:])
    finally:
        signal.alarm(0)
    if found == whole:
        return "equal", ""
    return ("another", "") if kind.by_hand else ("fault", "what was read is not what was written")


def survey(name: str, count: int, seed: int) -> dict[str, Any]:
    """Damaged files of one kind: how many came to what, some sentences, and every fault with its number."""
    kind = KINDS[name]
    counts, sentences, faults = Counter[str](), Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        path = kind.make(Path(folder))
        content = path.read_bytes()
        whole = kind.read(path)
        beside = {entry: entry.read_bytes() for entry in Path(folder).rglob("*") if entry.is_file()}
        for number in range(-1, max(count // SLOW.get(name, 1), 2)):
            rng = random.Random(f"{name} {seed} {number}")
            if number < 0 and not name.startswith(UNLIMITED):
                os.truncate(path, ENORMOUS)  # a hole, which takes no place on the disk
            else:
                path.write_bytes(rng.choice(kind.damages)(content, rng))
            word, text = outcome(kind, path, whole)
            counts[word] += 1
            if word == "refused":
                sentences[re.sub(r"\d+|'.*?'|\".*?\"", "_", text)] += 1
            elif word == "fault":
                faults.append({"number": number, "fault": text})
            for entry in set(Path(folder).rglob("*")) - beside.keys():
                if entry.is_file():
                    entry.unlink()
        shutil.rmtree(Path(folder, "copy"), ignore_errors=True)
    return {"counts": dict(counts), "sentences": dict(sentences.most_common()), "faults": faults}


def limit_memory() -> None:
    """No more than a little beyond what the imports have taken."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))


def main(arguments: list[str]) -> int:
    count, seed, *names = arguments
    limit_memory()
    print(json.dumps({name: survey(name, int(count), int(seed)) for name in names or KINDS}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
