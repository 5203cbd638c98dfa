"""The options of `python -m runs.bench`, and the sizes that it measures by default."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..console.parser import Parser

ABOUT = """\
`python -m runs.bench`: the speed of every variant, of its native control, its eager engine and its matrix products.

All are measured in turns in one process with one thread, forward and backward over a whole sequence. Medians are
compared as ratios. The fused engine is measured twice: as the trainer uses it, with memory and arguments that are
prepared once, and (column "call") as a module that is called directly.

With --trials it measures whole trials instead, as a study runs them: data, updates, looks and the final evaluation,
beside the loop that one would write around torch.nn.LSTM. With --against it measures them beside those of another
checkout.

    python -m runs.bench --quick
    python -m runs.bench --variants gru my_package.MyCell
    python -m runs.bench --trials --quick
"""
CODES = (
    "Exit codes: 0 when all is measured; 1 when a trial is slower than in the other checkout; 2 for a mistake in the "
    "command, which is one line."
)


class Settings(NamedTuple):
    """How a benchmark is run, see `python -m runs.bench --help`."""

    turns: int = 7
    seconds: float = 4.0
    eager: bool = True
    peers: bool = False


class Choice(NamedTuple):
    """The sizes that a benchmark has by default, and how long it takes for each."""

    steps: Sequence[int]
    batches: Sequence[int]
    units: Sequence[int]
    seconds: float


KERNELS = Choice((100, 1000), (1, 32, 128), (32, 64, 128, 200), Settings().seconds)
QUICK_KERNELS = KERNELS._replace(steps=(100,), batches=(32,))
TRIALS = Choice((16, 30, 100, 400), (1, 32), (24, 27, 32, 64, 128), 8.0)
QUICK_TRIALS = TRIALS._replace(steps=(16, 30), batches=(32,), units=(24, 32))
IN_TRIALS = ("vanilla", "gru", "rnn")


def options() -> Parser:
    """Return the options of the command."""
    parser = Parser(prog="python -m runs.bench", description=ABOUT, codes=CODES)

    def numbers(option: str, metavar: str, what: str) -> None:
        name = option.removeprefix("--")
        usual = " or ".join(", ".join(map(str, getattr(choice, name))) for choice in (KERNELS, TRIALS))
        text = f"{what}. Default: {usual} with --trials."
        parser.add_argument(option, nargs="+", type=int, metavar=metavar, help=text)

    def switch(option: str, text: str) -> None:
        parser.add_argument(option, action="store_true", help=text)

    few = ", ".join(IN_TRIALS)
    choice = f"which variants; also dotted paths of classes of your own. Default: all; {few} with --trials."
    parser.add_argument("--variants", nargs="+", metavar="NAME", help=choice)
    switch("--trials", "measure whole trials.")
    against = "measure whole trials of all variants beside those of another checkout of this project."
    parser.add_argument("--against", type=Path, metavar="FOLDER", help=against)
    switch("--quick", "only T=100 and batch 32; with --trials T=16 and 30, batch 32, N=24 and 32.")
    numbers("--steps", "T", "lengths")
    numbers("--batches", "B", "sequences")
    numbers("--units", "N", "units")
    turns = f"measured turns. Default: {Settings().turns}."
    parser.add_argument("--turns", type=int, default=Settings().turns, metavar="NUMBER", help=turns)
    usual = f"{KERNELS.seconds:g}; {TRIALS.seconds:g} with --trials"
    limit = f"fewer turns, at least three, where a size takes longer. Default: {usual}."
    parser.add_argument("--seconds", type=float, metavar="SECONDS", help=limit)
    switch("--no-eager", "leave out the eager engine, which takes most of the time.")
    switch("--peers", "add torch.compile, JAX's lax.scan and torchrecurrent, or JAX's trials, where installed.")
    folder = "folder for tables and figure. Default: results/bench."
    parser.add_argument("--output", type=Path, default=Path("results/bench"), metavar="FOLDER", help=folder)
    return parser
