"""`python -m runs.bench`: the speed of every variant, of its native control, its eager engine and its matrix products.

All are measured in turns in one process with one thread, forward and backward over a whole sequence. Medians are
compared as ratios. The fused engine is measured twice: as the trainer uses it, with memory and arguments that are
prepared once, and (column "call") as a module that is called directly.
"""

from __future__ import annotations

if __name__ == "__main__":
    from ..console.early import refuse_mistyped_after

    refuse_mistyped_after("--variants", "variant")

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from variants import Cell, Native

from ..console.known import found
from ..console.parser import Parser
from ..files import writable
from ..trial.training import prepare_process
from . import peers
from .measure import Measurement, Settings, Size, measured
from .report import about, draw, head, line, slower, table, write

STEPS, BATCHES, UNITS = (100, 1000), (1, 32, 128), (32, 64, 128, 200)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the arguments of the command. Raises ValueError for what is out of range."""
    parser = Parser(
        prog="python -m runs.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = {n: c for n, c in Cell.registry.items() if not issubclass(c, Native)}
    usual = Settings()

    def numbers(option: str, metavar: str, what: str, default: Sequence[int]) -> None:
        text = f"{what} ({', '.join(map(str, default))})"
        parser.add_argument(option, nargs="+", type=int, metavar=metavar, help=text)

    def switch(option: str, text: str) -> None:
        parser.add_argument(option, action="store_true", help=text)

    choice = "which variants (all); also dotted paths of classes of your own"
    parser.add_argument("--variants", nargs="+", default=list(known), metavar="NAME", help=choice)
    switch("--quick", "only T=100 and batch 32")
    numbers("--steps", "T", "lengths", STEPS)
    numbers("--batches", "B", "sequences", BATCHES)
    numbers("--units", "N", "units", UNITS)
    parser.add_argument("--turns", type=int, default=usual.turns, help=f"measured turns ({usual.turns})")
    limit = f"fewer turns, at least three, where a size takes longer ({usual.seconds:g})"
    parser.add_argument("--seconds", type=float, default=usual.seconds, help=limit)
    switch("--no-eager", "leave out the eager engine, which takes most of the time")
    switch("--peers", "add torch.compile, JAX's lax.scan and torchrecurrent, where installed")
    parser.add_argument("--output", type=Path, default=Path("results/bench"), help="folder for table and figure")
    given = parser.parse_args(arguments)
    given.steps = given.steps or ([100] if given.quick else list(STEPS))
    given.batches = given.batches or ([32] if given.quick else list(BATCHES))
    given.units = given.units or list(UNITS)
    classes = [found("variant", name, Cell, known) for name in given.variants]
    for path, cls in zip(given.variants, classes, strict=True):
        if "name" not in vars(cls):
            raise ValueError(f'variant: {path!r} must have a name, as in class {cls.__name__}(Cell, name="my_cell")')
    given.variants = [cls.name for cls in classes]
    for name in ("steps", "batches", "units"):
        if min(getattr(given, name)) < 1:
            raise ValueError(f"{name} must be at least 1, got {min(getattr(given, name))}")
    if given.turns < 1:
        raise ValueError(f"turns must be at least 1, got {given.turns}")
    return given


def main(arguments: list[str]) -> int:
    """Measure, print tables of ratios, and write `results/bench/bench.json` and a figure; returns the exit code."""
    try:
        given = parse(arguments)
        writable(given.output, "--output")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    prepare_process()
    here = about()
    print(f"{here['processor']}, one thread; torch {torch.__version__}, Python {here['python']}")
    print(f"products inside the loop over time: {here['products_inside']}; ", end="")
    print(f"over whole sequences: {here['products_outside']}")
    if given.peers:
        print(f"peers: {peers.installed()}")
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
    print("\nGeometric means over the sizes with several sequences:\n")
    print(table(found))
    if behind := slower(found):
        print("\nSlower than its control:\n" + "\n".join(behind))
    if any("fused" in m.seconds for m in found):
        draw(found, given.output / "bench.png")
    print(f"\n{given.output}: bench.json, bench.md, bench.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
