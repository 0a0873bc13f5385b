# SPDX-License-Identifier: MIT
"""`fixedpoint-nn tune`: search for better training settings (Optuna, the `search` extra)."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import target, training_target
from fixedpoint_nn.cli.arguments import Commands, above_zero, command, command_line, natural, positive
from fixedpoint_nn.cli.duration import announcing
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.cli.progress import detail, say
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.report.record import Stopwatch
from fixedpoint_nn.zoo.search import Found, count_trials, search, usual_space

STORE = "tune.sqlite"


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "tune",
        "search for better training settings; an interrupted search goes on",
        "fixedpoint-nn tune fashion_mlp --trials 30 --epochs 5 --out runs/tune",
        run,
    )
    target.add_arguments(parser, metric=True)
    parser.add_argument(
        "--trials", type=positive, metavar="N", help="end when so many settings were tried in all"
    )
    parser.add_argument("--minutes", type=above_zero, metavar="M", help="end after so many minutes")
    parser.add_argument("--epochs", type=positive, metavar="N", help="of each trial (default: the recipe's)")
    parser.add_argument("--limit", type=positive, metavar="N", help="train on the first N samples only")
    parser.add_argument("--seed", type=natural, default=0, metavar="N", help="of the search (default: 0)")
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/NET/tune")
    parser.add_argument("--fresh", action="store_true", help="forget an earlier search in the same DIR")
    parser.set_defaults(interrupted=interrupted)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    if arguments.trials is None and arguments.minutes is None:
        raise CommandError("tune needs an end: --trials N, or --minutes M")
    entry, _ = training_target.resolve(arguments)
    out = _folder(arguments)
    given = _again(arguments, out)
    watch = Stopwatch("tune", given)
    out.mkdir(parents=True, exist_ok=True)
    store = out / STORE
    if arguments.fresh:
        store.unlink(missing_ok=True)
    space = usual_space(entry)
    for name, axis in space.items():
        detail(f"{name}: {axis}")
    found = search(
        entry if entry.name not in zoo.names() or arguments.network != entry.name else entry.name,
        space,
        arguments.trials,
        store,
        minutes=arguments.minutes,
        epochs=arguments.epochs,
        jobs=arguments.jobs,
        seed=arguments.seed,
        limit=arguments.limit,
        tell=_told(),
        announce=_announcing(arguments, command_line("tune", given)),
    )
    from fixedpoint_nn.zoo.search_pictures import draw_trials  # matplotlib is slow to import

    pictures = draw_trials(found, out, entry.name)
    results = summary(entry.name, found, _repeat(arguments, found), [str(path) for path in pictures])
    watch.record(out, results).save()
    show(arguments, results, "\n".join(lines(results)))
    return 0


def summary(name: str, found: Found, command: str, pictures: list[str]) -> dict[str, Any]:
    """The trials and the best settings, as JSON values."""
    return {
        "network": name,
        "loss": found.loss,
        "settings": found.settings.as_json(),
        "command": command,
        "tried": len(found.trials) + found.pruned,
        "pruned": found.pruned,
        "trials": [{"loss": loss, **settings} for settings, loss in found.trials],
        "pictures": pictures,
    }


def lines(results: dict[str, Any]) -> list[str]:
    """The best settings as lines, and the command that trains with them."""
    best = "  ".join(f"{name} {_short(value)}" for name, value in results["settings"].items())
    return [
        f"{results['network']}: loss {results['loss']:.4f} on held-back data, the best of {results['tried']} trials "
        f"({results['pruned']} given up early)",
        best,
        f"pictures: {', '.join(results['pictures'])}",
        f"train with these settings: {results['command']}",
    ]


def _short(value: Any) -> str:
    """A float with four digits; all digits stand in the command."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def interrupted(arguments: argparse.Namespace) -> str:
    """The message about what an interrupt left, and how to continue."""
    out = _folder(arguments)
    store = out / STORE
    if not store.exists():
        return "nothing was left behind"
    count = count_trials(store)
    return f"{count} trials are kept in {store}; go on with: {command_line('tune', _again(arguments, out))}"


def _folder(arguments: argparse.Namespace) -> Path:
    return arguments.out or Path("runs", training_target.name_of(arguments.network), "tune")


def _told() -> Callable[[Found], None]:
    def tell(found: Found) -> None:
        last = found.trials[-1][1]
        trials = "trial" if len(found.trials) == 1 else "trials"
        say(
            f"{len(found.trials)} {trials}, {found.pruned} given up early: loss {last:.4f}, best {found.loss:.4f}"
        )

    return tell


def _announcing(arguments: argparse.Namespace, resume: str) -> Callable[[float], None] | None:
    """A callback that announces the duration of all trials, estimated from the first batches."""
    if arguments.trials is None or arguments.jobs > 1:
        return None
    announce, trials = announcing("at most, if no trial is given up early", resume), arguments.trials
    heard: list[float] = []

    def first(seconds: float) -> None:
        if not heard:
            heard.append(seconds)
            announce(seconds * trials)

    return first


def _repeat(arguments: argparse.Namespace, found: Found) -> str:
    """The `train` command with the best settings."""
    epochs = ["--epochs", arguments.epochs] if arguments.epochs else []
    return command_line("train", [*target.again(arguments), *epochs, *found.settings.options()])


def _again(arguments: argparse.Namespace, out: Path) -> list[object]:
    given = target.again(arguments)
    for name in ("trials", "minutes", "epochs", "limit"):
        value = getattr(arguments, name)
        given += [f"--{name}", value] if value is not None else []
    given += ["--seed", arguments.seed] if arguments.seed else []
    given += ["--jobs", arguments.jobs] if arguments.jobs > 1 else []
    return [*given, "--out", out]
