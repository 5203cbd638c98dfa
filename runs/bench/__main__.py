"""`python -m runs.bench`: how fast kernels and whole trials are; `--help` says beside what they are measured."""

from __future__ import annotations

import sys

from .options import IN_TRIALS, KERNELS, QUICK_KERNELS, QUICK_TRIALS, TRIALS, Choice, Settings, options

if __name__ == "__main__":
    from ..console.early import refuse_mistyped_after
    from ..console.start import end_quickly

    end_quickly()
    options().parse_args(sys.argv[1:])  # help and what is no option are answered before torch is imported
    refuse_mistyped_after("--variants", "variant")

import argparse
import itertools
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch

from variants import Cell

from ..console.known import found
from ..console.text import complain, say, width
from ..files import writable
from ..trial.training import prepare_process
from . import floor, jax_trial, peers, scan, trial_report
from .against import ROOT, Worker, checkout
from .measure import Measurement, Size, measured
from .plain import MODULES, plain
from .report import about, draw, head, line, shown, slower, write
from .trials import Case, Measured, Timed, cases, in_turns, ours, stamps, trial_of


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the arguments of the command. Raises ValueError for what is out of range."""
    given = options().parse_args(arguments)
    if given.against is not None:
        given.trials, given.against = True, checkout(given.against)
    choice = ((KERNELS, QUICK_KERNELS), (TRIALS, QUICK_TRIALS))[given.trials][given.quick]
    for name in Choice._fields:
        if getattr(given, name) is None:
            setattr(given, name, getattr(choice, name))
    for name in ("steps", "batches", "units"):
        if min(getattr(given, name)) < 1:
            raise ValueError(f"{name} must be at least 1, got {min(getattr(given, name))}")
    if given.turns < 1:
        raise ValueError(f"turns must be at least 1, got {given.turns}")
    if not given.seconds > 0:
        raise ValueError(f"seconds must be positive, got {given.seconds:g}")
    refuse_idle(given)
    given.variants = chosen(given)
    return given


def refuse_idle(given: argparse.Namespace) -> None:
    """Raise ValueError for an option that would have no effect, or a size that a task of trials cannot have."""
    if given.trials and given.no_eager:
        raise ValueError("--no-eager has no effect on trials, in which the eager engine takes no part")
    if given.against is not None and given.peers:
        raise ValueError("--peers has no effect with --against, which compares two checkouts")
    if given.trials and min(given.steps) < 2:
        raise ValueError(f"steps must be at least 2 with --trials, got {min(given.steps)}")


def chosen(given: argparse.Namespace) -> list[str]:
    """Return the names of the variants that are measured. Raises ValueError for what is no variant with a name."""
    known = {n: c for n, c in Cell.registry.items() if not c.control}
    if given.variants is None:
        few = given.trials and given.against is None
        return [name for name in known if name in IN_TRIALS or not few]
    classes = [found("variant", name, Cell, known) for name in given.variants]
    for path, cls in zip(given.variants, classes, strict=True):
        if "name" not in vars(cls):
            raise ValueError(f'variant: {path!r} must have a name, as in class {cls.__name__}(Cell, name="my_cell")')
    return [cls.name for cls in classes]


def main(arguments: list[str]) -> int:
    """Measure, print ratios, and write files and a figure to a folder; returns the exit code."""
    try:
        given = parse(arguments)
        writable(given.output, "--output")
    except ValueError as error:
        complain(error)
        return 2
    prepare_process()
    here = about()
    print(f"{here['processor']}, one thread; torch {torch.__version__}, Python {here['python']}")
    if given.trials:
        return trials(given, here)
    return kernels(given, here)


def kernels(given: argparse.Namespace, here: Mapping[str, Any]) -> int:
    """Measure forward and backward passes, and write `bench.json`, `bench.md` and `bench.png`; returns 0."""
    say(f"products inside the loop over time: {here['products_inside']}")
    say(f"products over whole sequences: {here['products_outside']}")
    if given.peers:
        say(f"peers: {peers.installed()}")
    print(f"\n{head()}")
    settings = Settings(given.turns, given.seconds, not given.no_eager, given.peers)
    found: list[Measurement] = []
    for steps, name in itertools.product(given.steps, given.variants):
        for batch, units in itertools.product(given.batches, given.units):
            try:
                found.append(measured(name, Size(steps, batch, units), settings))
            except ValueError as error:
                print(f"{error}: left out", file=sys.stderr)
                continue
            if "fused" in found[-1].seconds:
                print(line(found[-1]), flush=True)
        write(found, here, given.output)  # a run of hours that is cut off leaves what it has
    print(f"\n{shown(found, width())}")
    if behind := slower(found):
        print("\nSlower than its control:\n" + "\n".join(behind))
    if any("fused" in m.seconds for m in found):
        draw(found, given.output / "bench.png")
    print(f"\n{given.output}: bench.json, bench.md, bench.png")
    return 0


def trials(given: argparse.Namespace, here: Mapping[str, Any]) -> int:
    """Measure whole trials, and write `trials.json`, `trials.md` and `trials.png`.

    Returns 0, or 1 where a trial is slower than in the other checkout.
    """
    here = {**here, "peak": floor.peak()}
    if given.peers:
        say(f"peers: {peers.installed()}")
    done: list[Measured] = []
    with ExitStack() as stack:
        workers: dict[str, Timed] = {}
        if given.against is not None:
            folders = {trial_report.OURS: ROOT, trial_report.BEFORE: given.against}
            workers = {name: stack.enter_context(Worker(folder)).moments for name, folder in folders.items()}
        for case in cases(given.variants, given.steps, given.batches, given.units):
            try:
                done.append(one_case(case, workers or contestants(case, given.peers), given))
            except ValueError as error:
                print(f"{error}: left out", file=sys.stderr)
                continue
            say(trial_report.line(done[-1]))
            trial_report.write(done, here, given.output)  # a run of hours that is cut off leaves what it has
    if trial_report.others(done):
        trial_report.draw(done, given.output / "trials.png")
    behind = trial_report.slower(done)
    if behind:
        print("\nSlower than before:\n" + "\n".join(behind))
    print(f"\n{given.output}: trials.json, trials.md, trials.png")
    return int(bool(behind))


def contestants(case: Case, others: bool) -> dict[str, Timed]:
    """Return who runs the trials of a case in this process, by name.

    case: of whose variant torch and JAX may have no version.
    others: whether JAX takes part, where it is installed.
    """
    runs: dict[str, Timed] = {trial_report.OURS: partial(stamps, ours)}
    if case.variant in MODULES:
        runs["plain"] = partial(stamps, plain)
    if others and case.variant in scan.GATES and scan.load() is not None:
        runs["jax"] = partial(stamps, jax_trial.contestant(trial_of(case, 32)))
    return runs


def one_case(case: Case, runs: Mapping[str, Timed], given: argparse.Namespace) -> Measured:
    """Return the times of one case, with the floor of its arithmetic and the pieces of our update.

    case: what is run.
    runs: who runs it.
    given: says how many turns there are, and how long they take.
    """
    found = in_turns(runs, case, given.turns, given.seconds)
    trial = trial_of(case, found.updates)
    parts = floor.piece_seconds(floor.pieces_of(trial))
    return found._replace(update_parts=parts, floor=floor.floor(trial, case.size.steps))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
