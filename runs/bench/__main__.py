"""Speed of every variant beside its native control, its eager engine and its own matrix products: `python -m
runs.bench`.

All are measured in turns within one process of one thread, forward and backward over a whole sequence; medians are
compared as ratios. The fused engine is measured as a trial trains with it, which prepares memory and arguments once,
and ("call") as any module that is called.
"""

from __future__ import annotations

if __name__ == "__main__":
    from ..console.early import refuse_mistyped_after

    refuse_mistyped_after("--variants", "variant")

import argparse
import itertools
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from variants import Cell, Native, Recurrent, build
from variants.engine.cpu import machine

from ..console.known import found
from ..console.parser import Parser
from ..files import replacing, writable, write_whole
from ..record.facts import facts
from ..trial.training import Flat

INPUTS = 2
STEPS, BATCHES, UNITS = (100, 1000), (1, 32, 128), (32, 64, 128, 200)
YARDSTICK = "native_lstm"
# What the fused engine is measured against, with heads and widths. "call" is the same engine, each call by itself.
OTHERS = {
    "call": ("call", 7),
    "native": ("control", 9),
    YARDSTICK: ("nn.LSTM", 9),
    "products": ("limit", 8),
    "eager": ("eager", 8),
}
FEWEST_TURNS = 3
SMALL, LARGE = 64, 128  # units up to which speed against eager, and from which the share of the limit, are summed up

Step = Callable[[], Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """T steps, B sequences and N units of one measurement."""

    steps: int
    batch: int
    units: int


def control_of(cell: Cell) -> str:
    """The native module that a cell is held against: a GRU for gated cells without a memory cell, an RNN for those
    without gates.
    """
    if len(cell.preactivations) == 1:
        return "native_rnn"
    return YARDSTICK if any(name == "c" or name.startswith("c_") for name in cell.State._fields) else "native_gru"


def training_step(module: torch.nn.Module, inputs: torch.Tensor) -> Step:
    """One forward and backward pass over `inputs` [T, B, I]."""
    parameters = list(module.parameters())

    def step() -> None:
        outputs, _ = module(inputs)
        torch.autograd.backward(outputs, torch.ones_like(outputs))
        for p in parameters:
            p.grad = None

    return step


def update(module: torch.nn.Module, inputs: torch.Tensor) -> Step:
    """The same as a trial does it, adding to gradients that lie in one vector."""
    flat = Flat(module)

    def step() -> None:
        outputs, _ = module(inputs, final=False)
        flat.gradient.zero_()
        torch.autograd.backward(outputs, torch.ones_like(outputs))

    return step


def products(cell: Cell, layers: int, size: Size) -> Step:
    """The matrix products of a training step alone, the limit of any implementation: those of each step, then the whole
    ones outside.
    """
    rows, units, width = size.steps * size.batch, size.units, INPUTS
    inside: list[tuple[torch.Tensor, ...]] = []
    outside: list[tuple[torch.Tensor, torch.Tensor]] = []
    if cell.projects_input:
        x, out = torch.randn(rows, INPUTS), torch.randn(rows, units)
        outside += [(x, torch.randn(INPUTS, units)), (x.T, out)]
        width = units
    for layer in range(layers):
        here = cell.for_layer(layer)
        heard = sum(gate.input for gate in here.preactivations) * units
        x, grad = torch.randn(rows, width), torch.randn(rows, heard)
        outside += [(x, torch.randn(width, heard)), (x.T, grad)]
        if layer > 0 or cell.projects_input:
            outside.append((grad, torch.randn(heard, width)))
        for source in here.sources:
            columns = len(source.gates) * units
            state, matrix, grads = (
                torch.randn(size.batch, units),
                torch.randn(units, columns),
                torch.randn(size.batch, columns),
            )
            inside.append((state, matrix, torch.empty(size.batch, columns)))
            inside.append((grads, matrix.T, torch.empty(size.batch, units)))
            outside.append((torch.randn(units, rows), torch.randn(rows, columns)))
        width = units

    def step() -> None:
        for _ in range(size.steps):
            for left, right, out in inside:
                torch.mm(left, right, out=out)
        for left, right in outside:
            torch.mm(left, right)

    return step


def contestants(cell: Cell, size: Size, *, eager: bool, peers: bool) -> dict[str, Step]:
    """What is timed against each other for one variant at one size."""
    layers = max(1, cell.min_layers)
    inputs = torch.randn(size.steps, size.batch, INPUTS)
    found: dict[str, Step] = {}
    try:
        found["fused"] = update(build(cell, INPUTS, size.units, layers=layers, engine="fused"), inputs)
        found["call"] = training_step(build(cell, INPUTS, size.units, layers=layers, engine="fused"), inputs)
    except ValueError as error:
        print(f"{cell.name}: {error}", file=sys.stderr)
    found["native"] = training_step(build(Cell.registry[control_of(cell)](), INPUTS, size.units, layers=layers), inputs)
    if control_of(cell) != YARDSTICK:
        found[YARDSTICK] = training_step(build(Cell.registry[YARDSTICK](), INPUTS, size.units, layers=layers), inputs)
    found["products"] = products(cell, layers, size)
    if eager:
        found["eager"] = training_step(build(cell, INPUTS, size.units, layers=layers, engine="eager"), inputs)
    if peers:
        from . import peers as others

        module = build(cell, INPUTS, size.units, layers=layers, engine="eager")
        assert isinstance(module, Recurrent)
        found |= {name: training_step(peer, inputs) for name, peer in others.modules(module).items()}
        found |= others.functions(cell.name, size.steps, size.batch, INPUTS, size.units)
    return found


def measure(found: dict[str, Step], turns: int, seconds: float) -> dict[str, float]:
    """Median seconds of each contestant, measured in turns after one that does not count.

    There are fewer turns, but at least three, where they take longer than `seconds`.
    """
    times: dict[str, list[float]] = {name: [] for name in found}
    begun = time.perf_counter()
    for turn in range(turns + 1):
        for name, step in found.items():
            start = time.perf_counter()
            step()
            if turn:
                times[name].append(time.perf_counter() - start)
        if turn >= FEWEST_TURNS and time.perf_counter() - begun > seconds:
            break
    return {name: statistics.median(values) for name, values in times.items()}


def ratio(rows: Sequence[Row], variant: str, against: str, units: Callable[[int], bool] = lambda n: True) -> float:
    """Geometric mean of how many times faster the fused engine is than another contestant, over sizes with several
    sequences.
    """
    chosen = [
        r
        for r in rows
        if r["variant"] == variant and {"fused", against} <= r.keys() and r["batch"] > 1 and units(r["units"])
    ]
    return statistics.geometric_mean([r[against] / r["fused"] for r in chosen]) if chosen else float("nan")


def summary(rows: Sequence[Row]) -> list[Row]:
    """One row per variant: ratios to nn.LSTM, the control, eager at few units, and the share of the limit at many."""
    return [
        {
            "variant": name,
            "control": control_of(Cell.registry[name]()),
            "nn.LSTM": ratio(rows, name, YARDSTICK),
            "native": ratio(rows, name, "native"),
            "eager": ratio(rows, name, "eager", lambda n: n <= SMALL),
            "limit": ratio(rows, name, "products", lambda n: n >= LARGE),
        }
        for name in dict.fromkeys(r["variant"] for r in rows)
    ]


def table(rows: Sequence[Row]) -> str:
    """The summary as a Markdown table."""
    heads = [
        "variant",
        "speed, nn.LSTM = 1",
        "its control = 1",
        f"eager = 1, N <= {SMALL}",
        f"share of the limit, N >= {LARGE}",
    ]
    lines = [heads, ["---"] * len(heads)]
    for r in summary(rows):
        lines.append(
            [
                f"`{r['variant']}`",
                f"{r['nn.LSTM']:.2f}",
                f"{r['native']:.2f} (`{r['control']}`)",
                f"{r['eager']:.1f}",
                f"{r['limit']:.2f}",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("nan", "")


def line(row: Row) -> str:
    """One measurement as a line of the table that grows on the screen."""
    text = f"{row['variant']:<22}{row['steps']:>6}{row['batch']:>5}{row['units']:>5}{1000 * row['fused']:>10.2f}"
    for key, (_, width) in OTHERS.items():
        text += f"{row[key] / row['fused']:>{width}.2f}" if key in row else " " * width
    known = ("variant", "steps", "batch", "units", "fused", *OTHERS)
    return text + "".join(f"  {k} {v / row['fused']:.1f}" for k, v in row.items() if k not in known)


def slower(rows: Sequence[Row]) -> list[str]:
    """Where a variant is slower than its control."""
    found = []
    for r in rows:
        if "fused" in r and r["native"] < r["fused"]:
            control = control_of(Cell.registry[r["variant"]]())
            found.append(
                f"{r['variant']} T={r['steps']} B={r['batch']} N={r['units']}: {r['native'] / r['fused']:.2f} of {control}"
            )
    return found


def draw(rows: Sequence[Row], path: Path) -> None:
    """Bars per variant: speed against torch.nn.LSTM = 1, with the control of the variant as a mark, and the share of
    the limit.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = [r for r in summary(rows) if r["native"] == r["native"]]
    names = [r["variant"] for r in found]
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(8.4, 0.27 * len(names) + 1.3), layout="constrained", sharey=True, width_ratios=(3, 2)
    )
    for axes, key, label in (
        (left, "nn.LSTM", "speed of the fused engine (torch.nn.LSTM = 1)"),
        (right, "limit", f"share of the limit set by its products, N ≥ {LARGE}"),
    ):
        values = [r[key] for r in found]
        axes.barh(names, values, color="#3f90da", height=0.66)
        axes.axvline(1, color="black", linewidth=1, zorder=0.5)
        axes.set_xlabel(label, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        longest = max((v for v in values if v == v), default=1.0)
        for k, v in enumerate(values):
            if v == v:
                inside = v > 0.09 * longest
                looks: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 7}
                looks |= {"ha": "right", "color": "white"} if inside else {"ha": "left", "color": "black"}
                axes.annotate(f"{v:.2f}", (v, k), xytext=(-3 if inside else 7, 0), **looks)
    for control, marker, label in (("native_gru", "o", "torch.nn.GRU"), ("native_rnn", "D", "torch.nn.RNN")):
        marks = [(r["nn.LSTM"] / r["native"], k) for k, r in enumerate(found) if r["control"] == control]
        if marks:
            looks = {"ms": 5, "color": "#bd1f01", "mec": "white", "mew": 0.6, "linestyle": "none"}
            left.plot(*zip(*marks, strict=True), marker, label=f"{label}, its control", **looks)
    if left.get_legend_handles_labels()[0]:
        figure.legend(fontsize=7, loc="outside lower center", ncols=2, frameon=False)
    left.invert_yaxis()
    sizes = [
        ", ".join(map(str, sorted({r[k] for r in rows if k != "batch" or r[k] > 1})))
        for k in ("steps", "batch", "units")
    ]
    figure.suptitle(
        "Forward and backward, one thread; geometric means over T = {}, batch {}, N = {}".format(*sizes), fontsize=9
    )
    with replacing(path) as part:
        figure.savefig(part, dpi=160)
    pyplot.close(figure)


def about() -> dict[str, Any]:
    """The machine, and where matrix products come from."""
    config = torch.__config__.show()
    blas = re.search(r"BLAS_INFO=(\w+)", config)
    kind = re.search(r"Intel\(R\) oneAPI Math Kernel Library Version [\d.]+|OpenBLAS[\w. ]*", config)
    return {
        **facts(),
        "cores": os.cpu_count(),
        "products_inside": f"code for {machine.processor()} by LLVM {machine.llvm_version()}",
        "products_outside": f"torch's BLAS: {kind[0] if kind else blas[1] if blas else 'unknown'}",
    }


def write(rows: Sequence[Row], here: Mapping[str, Any], folder: Path) -> None:
    """Write the measurements with what they were made on, and the table."""
    write_whole(folder / "bench.json", json.dumps({"rows": rows, "summary": summary(rows), **here}, indent=1) + "\n")
    write_whole(folder / "bench.md", table(rows) + "\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The arguments of the command. Raises ValueError for what is out of range."""
    parser = Parser(
        prog="python -m runs.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = {n: c for n, c in Cell.registry.items() if not issubclass(c, Native)}
    choice = "which variants (all); also dotted paths of classes of your own"
    parser.add_argument("--variants", nargs="+", default=list(known), metavar="NAME", help=choice)
    parser.add_argument("--quick", action="store_true", help="only T=100 and batch 32")
    parser.add_argument("--steps", nargs="+", type=int, metavar="T", help=f"lengths ({', '.join(map(str, STEPS))})")
    parser.add_argument(
        "--batches", nargs="+", type=int, metavar="B", help=f"sequences ({', '.join(map(str, BATCHES))})"
    )
    parser.add_argument(
        "--units", nargs="+", type=int, metavar="N", default=list(UNITS), help=f"units ({', '.join(map(str, UNITS))})"
    )
    parser.add_argument("--turns", type=int, default=7, help="measured turns (7)")
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="fewer turns, at least three, where a size takes longer (4)"
    )
    parser.add_argument(
        "--no-eager",
        dest="eager",
        action="store_false",
        help="leave out the eager engine, which takes most of the time",
    )
    parser.add_argument(
        "--peers", action="store_true", help="add torch.compile, JAX's lax.scan and torchrecurrent, where installed"
    )
    parser.add_argument("--output", type=Path, default=Path("results/bench"), help="folder for table and figure")
    given = parser.parse_args(arguments)
    given.steps = given.steps or ([100] if given.quick else list(STEPS))
    given.batches = given.batches or ([32] if given.quick else list(BATCHES))
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
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    here = about()
    print(f"{here['processor']}, one thread; torch {torch.__version__}, Python {here['python']}")
    print(
        f"products inside the loop over time: {here['products_inside']}; over whole sequences: {here['products_outside']}"
    )
    if given.peers:
        from . import peers

        print(f"peers: {peers.installed()}")
    print(
        f"\n{'variant':<22}{'T':>6}{'B':>5}{'N':>5}{'fused ms':>10}"
        + "".join(f"{n:>{w}}" for n, w in OTHERS.values())
        + "  (times fused)"
    )
    rows: list[Row] = []
    for steps, name in itertools.product(given.steps, given.variants):
        cell = Cell.registry[name]()
        for size in (Size(steps, b, n) for b in given.batches for n in given.units):
            try:
                cell.validate(size.units, max(1, cell.min_layers))
            except ValueError as error:
                print(f"{error}: left out", file=sys.stderr)
                continue
            times = measure(contestants(cell, size, eager=given.eager, peers=given.peers), given.turns, given.seconds)
            times.setdefault(YARDSTICK, times["native"])
            rows.append({"variant": name, "steps": size.steps, "batch": size.batch, "units": size.units, **times})
            if "fused" in times:
                print(line(rows[-1]), flush=True)
        write(rows, here, given.output)  # a run of hours that is cut off leaves what it has
    print("\nGeometric means over the sizes with several sequences:\n")
    print(table(rows))
    if behind := slower(rows):
        print("\nSlower than its control:\n" + "\n".join(behind))
    if any("fused" in r for r in rows):
        draw(rows, given.output / "bench.png")
    print(f"\n{given.output}: bench.json, bench.md, bench.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
