# SPDX-License-Identifier: MIT
"""`fixedpoint-nn sweep`: metric and cost of a network over bit widths."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fixedpoint_nn.cli import target
from fixedpoint_nn.cli.arguments import Commands, command, command_line, positive, words
from fixedpoint_nn.cli.duration import announcing
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.cli.progress import bars, detail, say
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.precision import Metric, Sweep, Training, sweep
from fixedpoint_nn.precision.axes import AXES
from fixedpoint_nn.precision.engine_cost import EngineCost
from fixedpoint_nn.precision.mixed import Mixed, search
from fixedpoint_nn.precision.qat_recipes import training_for
from fixedpoint_nn.report.record import Stopwatch
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.loss_for import loss_for
from fixedpoint_nn.training.metrics import outputs as float_outputs

STORE = "sweep.sqlite"


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "sweep",
        "measure a network at many bit widths; an interrupted sweep goes on",
        "fixedpoint-nn sweep fashion_mlp --words 2:16 --jobs 2 --out runs/fashion/sweep",
        run,
    )
    target.add_arguments(parser, metric=True)
    parser.add_argument(
        "--words",
        type=words,
        required=True,
        metavar="A:B",
        help="word lengths, such as 2:16 (both included) or 4,6,8",
    )
    parser.add_argument(
        "--method",
        choices=("ptq", "qat"),
        action="append",
        help="after training (default), or trained for it; may be given again, for both side by side",
    )
    parser.add_argument(
        "--axis",
        choices=tuple(AXES),
        action="append",
        metavar="AXIS",
        help=f"what varies: {', '.join(AXES)} (default: word); may be given again",
    )
    parser.add_argument(
        "--mixed", action="store_true", help="also search for a word length of its own for each place"
    )
    parser.add_argument("--size", action="store_true", help="also the engine's LUTs and DSPs, by yosys")
    parser.add_argument("--resume-errored", action="store_true", help="try points again that failed before")
    parser.add_argument("--limit", type=positive, metavar="N", help="measure on the first N held-out samples")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes here (default: 1)")
    where.add_argument("--scheduler", metavar="URL", help="a Dask scheduler, such as tcp://host:8786")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results go")
    parser.set_defaults(interrupted=interrupted)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    chosen = target.from_arguments(arguments)
    axes, methods = _once(arguments.axis or ["word"]), _once(arguments.method or ["ptq"])
    given = _again(arguments, axes, methods)
    watch = Stopwatch("sweep", given)
    found = sweep_network(
        chosen,
        arguments.words,
        arguments.out,
        axes=axes,
        methods=methods,
        limit=arguments.limit,
        size=arguments.size,
        jobs=arguments.jobs,
        scheduler=arguments.scheduler,
        resume_errored=arguments.resume_errored,
        progress=bars(),
        announce=announcing("the points to compute", command_line("sweep", given)),
    )
    results = summary(chosen, found)
    if arguments.mixed:
        mixed = search_mixed(chosen, arguments.out, arguments.limit, bars(), found.metric)
        results["mixed"] = mixed_summary(mixed, found.metric)
    watch.record(arguments.out, results).save()
    text = lines(found) + (mixed_lines(mixed) if arguments.mixed else [])
    text.append(f"{found.computed} of {len(found)} points were computed now; all are in {arguments.out}")
    show(arguments, results, "\n".join(text))
    return 0


def interrupted(arguments: argparse.Namespace) -> str:
    """The message about what an interrupt left, and how to continue."""
    given = _again(arguments, _once(arguments.axis or ["word"]), _once(arguments.method or ["ptq"]))
    store = arguments.out / STORE
    if not store.exists():
        return "nothing was left behind"
    return f"the points that had ended are in {store}; go on with: {command_line('sweep', given)}"


def sweep_network(
    chosen: target.NetworkTarget,
    word_lengths: Sequence[int],
    out: Path,
    *,
    axes: Sequence[str] = ("word",),
    methods: Sequence[str] = ("ptq",),
    limit: int | None = None,
    size: bool = False,
    jobs: int = 1,
    scheduler: str | None = None,
    resume_errored: bool = False,
    progress: bool = True,
    announce: Callable[[float], None] | None = None,
) -> Sweep:
    """Sweep on held-out data, with calibration on training data; tables and plots are written to `out`."""
    from fixedpoint_nn.cli.sweep_pictures import draw_sweep  # matplotlib is slow to import

    x, y = chosen.held_out
    if chosen.given is not None and "qat" in methods:
        x, y = chosen.given.split()[1]  # evaluated on held-out samples
        say(f"judged on {len(x)} samples, every tenth one; the others train it")
    training = training_of(chosen) if "qat" in methods else None
    out.mkdir(parents=True, exist_ok=True)
    detail(f"judged on {len(x[:limit])} samples, calibrated on {len(chosen.calibration)}")
    found = sweep(
        chosen.net,
        (x[:limit], y[:limit]),
        word_lengths,
        axes=axes,
        methods=methods,
        samples=chosen.calibration,
        metric=chosen.metric,
        training=training,
        engine=EngineCost(chosen.net, x.shape[1:], synthesise=size),
        jobs=jobs,
        scheduler=scheduler,
        resume_errored=resume_errored,
        store=out / STORE,
        progress=progress,
        announce=announce,
    )
    found.to_csv(out / "sweep.csv")
    found.to_csv(out / "layers.csv", layers=True)
    draw_sweep(found, chosen, x[:limit], out, axes, methods)
    return found


def training_of(chosen: target.NetworkTarget) -> Training:
    """The settings of quantisation-aware training: the zoo's, or on the given samples."""
    if chosen.given is None:
        return training_for(chosen.entry)
    (x, y), _ = chosen.given.split()
    loss, y = loss_for(y, (len(y), *float_outputs(chosen.net, x[:1]).shape[1:]))
    return Training(Samples(x, y), loss=loss)


def search_mixed(
    chosen: target.NetworkTarget, out: Path, limit: int | None, progress: bool, metric: Metric
) -> Mixed:
    """The mixed-precision front, searched on one half of the held-out samples and reported on the other."""
    import matplotlib

    from fixedpoint_nn.precision import pictures

    x, y = (part[:limit] for part in chosen.held_out)
    if len(x) < 2:
        raise CommandError("--mixed needs two samples or more: one half to search on, the other to report on")
    mixed = search(
        chosen.net,
        (x[::2], y[::2]),
        (x[1::2], y[1::2]),
        samples=chosen.calibration,
        metric=chosen.metric,
        store=out / STORE,
        progress=progress,
    )
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        pictures.pareto_front(mixed, out / "pareto.svg", chosen.name, metric)
    for candidate in mixed.front:
        candidate.plan.save(out / f"mixed-{candidate.price}.json")
    return mixed


def summary(chosen: target.NetworkTarget, found: Sweep) -> dict[str, Any]:
    """The results of a sweep for the report."""
    return {
        **chosen.about(),
        "metric": found.metric.name,
        "more_is_better": found.metric.more_is_better,
        "loss_unit": found.metric.loss_unit,
        "float_score": found.float_score,
        "points": found.rows(),
    }


def mixed_summary(mixed: Mixed, metric: Metric) -> dict[str, Any]:
    """The results of a mixed-precision search for the report."""
    front = [
        {
            "bit_operations": candidate.price,
            "weight_bits": candidate.cost.weight_bits,
            "score": candidate.metric,
            "loss": candidate.loss,
            "words": " ".join(f"{path}:{bits}" for path, bits in candidate.words.items()) or "uniform",
        }
        for candidate in mixed.front
    ]
    return {
        "metric": metric.name,
        "front": front,
        "tried": mixed.tried,
        "hypervolume": mixed.hypervolume,
        "uniform_hypervolume": mixed.uniform_hypervolume,
    }


def lines(found: Sweep) -> list[str]:
    """The sweep as lines of a table."""
    unit = "points lost" if found.metric.in_points else "% worse"
    metric = found.metric.name
    names = [f"{point.axis} {point.value} {point.method}" for point in found]
    width = max(map(len, names))
    head = f"{'':{width}} {metric:>9}   {'95 % interval':^19} {unit:>12} {'changed':>9} {'weight bits':>12}"
    rows = [
        f"{name:{width}} {point.metric:9.4f}   "
        f"{point.low:9.4f} {point.high:9.4f} {point.loss:12.2f} {point.changed:9,} "
        f"{point.cost.weight_bits:12,}"
        for name, point in zip(names, found, strict=True)
    ]
    absent = [str(point) for point in found.absent]
    return [head, *rows, f"{'float':{width}} {found.float_score:9.4f}", *absent]


def mixed_lines(mixed: Mixed) -> list[str]:
    """The mixed front as lines, with the file of each plan."""
    rows = [
        f"mixed   lost {candidate.loss:6.2f}   bit operations {candidate.price:14,}   "
        f"mixed-{candidate.price}.json"
        for candidate in mixed.front
    ]
    return [*rows, f"hypervolume {mixed.hypervolume:.4f}, uniform {mixed.uniform_hypervolume:.4f}"]


def _once(given: list[str]) -> tuple[str, ...]:
    """The elements without repetitions, in order."""
    return tuple(dict.fromkeys(given))


def _again(arguments: argparse.Namespace, axes: Sequence[str], methods: Sequence[str]) -> list[object]:
    given = [*target.again(arguments), "--words", ",".join(map(str, arguments.words))]
    given += [part for method in methods if methods != ("ptq",) for part in ("--method", method)]
    given += [part for axis in axes if axes != ("word",) for part in ("--axis", axis)]
    given += ["--mixed"] if arguments.mixed else []
    given += ["--size"] if arguments.size else []
    given += ["--limit", arguments.limit] if arguments.limit else []
    given += ["--jobs", arguments.jobs] if arguments.jobs > 1 else []
    given += ["--scheduler", arguments.scheduler] if arguments.scheduler else []
    return [*given, "--out", arguments.out]
