"""Speed of every variant beside its native control, its eager engine and its own matrix products: `python -m runs.bench`.

All are measured in turns within one process of one thread, forward and backward over a whole sequence; medians are compared as ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from variants import Cell, Recurrent, build

from .facts import facts

INPUTS = 2
STEPS, BATCHES, SIZES = (100, 1000), (1, 32, 128), (32, 64, 128, 200)


def control_of(cell: Cell) -> str:
    """The native module that a cell is held against: a GRU for gated cells without a memory cell, an RNN for those without gates."""
    if len(cell.plan) == 1:
        return "native_rnn"
    return "native_lstm" if "c" in cell.State._fields else "native_gru"


def training_step(module: torch.nn.Module, inputs: torch.Tensor) -> Callable[[], None]:
    """One forward and backward pass over `inputs` [T, B, I]."""
    parameters = list(module.parameters())

    def step() -> None:
        outputs, _ = module(inputs)
        torch.autograd.backward(outputs, torch.ones_like(outputs))
        for p in parameters:
            p.grad = None

    return step


def products(cell: Cell, steps: int, batch: int, size: int) -> Callable[[], None]:
    """The matrix products of a training step alone, the limit of any implementation: those of each step, then the whole ones outside."""
    shapes = [len(source.gates) * size for source in cell.sources]
    gates = len(cell.plan) * size
    x, w = torch.randn(steps * batch, INPUTS), torch.randn(INPUTS, gates)
    state, grads = torch.randn(batch, size), [torch.randn(batch, g) for g in shapes]
    matrices, whole = [torch.randn(size, g) for g in shapes], [torch.randn(steps * batch, g) for g in shapes]
    states, rows = torch.randn(steps * batch, size), [torch.empty(batch, g) for g in shapes]
    back, all_gates = torch.empty(batch, size), torch.randn(steps * batch, gates)

    def step() -> None:
        torch.mm(x, w)
        for _ in range(steps):
            for m, row in zip(matrices, rows, strict=True):
                torch.mm(state, m, out=row)
        for _ in range(steps):
            for m, grad in zip(matrices, grads, strict=True):
                torch.mm(grad, m.T, out=back)
        for grad in whole:
            torch.mm(states.T, grad)
        torch.mm(x.T, all_gates)

    return step


def contestants(cell: Cell, steps: int, batch: int, size: int, eager: bool) -> dict[str, Callable[[], None]]:
    """What is timed against each other for one variant at one size."""
    layers = max(1, cell.min_layers)
    inputs = torch.randn(steps, batch, INPUTS)
    native = Cell.registry[control_of(cell)]()
    found: dict[str, Callable[[], None]] = {}
    try:
        found["fused"] = training_step(build(cell, INPUTS, size, layers=layers, engine="fused"), inputs)
    except ValueError as error:
        print(f"{cell.name}: {error}", file=sys.stderr)
    found["native"] = training_step(build(native, INPUTS, size, layers=layers), inputs)
    if layers == 1:
        found["products"] = products(cell, steps, batch, size)
    if eager:
        module = build(cell, INPUTS, size, layers=layers, engine="eager")
        assert isinstance(module, Recurrent)
        found["eager"] = training_step(module, inputs)
    return found


def measure(found: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of each contestant, measured in turns after a round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(repeats + 1):
        for name, step in found.items():
            start = time.perf_counter()
            step()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars of the speed of each variant against its control = 1, the geometric mean over the sizes with more than one sequence."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(r["variant"] for r in rows if "fused" in r))
    means = [mean_ratio(rows, n, "native") for n in names]
    figure, axes = pyplot.subplots(figsize=(7, 0.32 * len(names) + 1.2), layout="constrained")
    axes.barh(names, means, color=["#3f90da" if m >= 1 else "#a96b59" for m in means])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("speed of the fused engine; its control in torch.nn = 1")
    axes.invert_yaxis()
    for k, m in enumerate(means):
        axes.text(m, k, f" {m:.2f}", va="center", fontsize=8)
    figure.savefig(path, dpi=150)


def mean_ratio(rows: list[dict[str, Any]], variant: str, against: str) -> float:
    """Geometric mean of how many times faster the fused engine is than another contestant, over the sizes with several sequences."""
    chosen = [r for r in rows if r["variant"] == variant and "fused" in r and against in r and r["batch"] > 1]
    return statistics.geometric_mean([r[against] / r["fused"] for r in chosen]) if chosen else float("nan")


def main(arguments: list[str]) -> int:
    """Measure, print a table of ratios, and write `results/bench/bench.json` and a figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m runs.bench", description=__doc__)
    known = [n for n, c in Cell.registry.items() if not c.control]
    parser.add_argument("--variants", nargs="+", default=known, metavar="NAME", help="which variants (all)")
    parser.add_argument("--sizes", choices=("quick", "full"), default="quick", help="quick: T=100, batch 32, N=32, 64, 128, 200")
    parser.add_argument("--repeats", type=int, default=7, help="measured turns (7)")
    parser.add_argument("--eager", action="store_true", help="time the eager engine too, which takes most of the time")
    parser.add_argument("--output", type=Path, default=Path("results/bench"), help="folder for table and figure")
    given = parser.parse_args(arguments)
    unknown = [n for n in given.variants if n not in known]
    if unknown or given.repeats < 1:
        rule = (
            f"unknown variant {unknown[0]!r}; there is: {', '.join(known)}"
            if unknown
            else f"repeats must be at least 1, got {given.repeats}"
        )
        print(f"error: {rule}", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    grid = [(100, 32)] if given.sizes == "quick" else [(t, b) for t in STEPS for b in BATCHES]
    rows: list[dict[str, Any]] = []
    print(f"{'variant':<22}{'T':>6}{'B':>5}{'N':>5}{'fused ms':>10}{'native':>9}{'limit':>8}{'eager':>8}   (times the fused speed)")
    for name in given.variants:
        cell = Cell.registry[name]()
        for steps, batch in grid:
            for size in SIZES:
                try:
                    cell.validate(size, max(1, cell.min_layers))
                except ValueError as error:
                    print(f"{error}: left out", file=sys.stderr)
                    continue
                times = measure(contestants(cell, steps, batch, size, given.eager), given.repeats)
                rows.append({"variant": name, "steps": steps, "batch": batch, "size": size, **times})
                if "fused" in times:
                    ratios = [times[k] / times["fused"] if k in times else float("nan") for k in ("native", "products", "eager")]
                    print(
                        f"{name:<22}{steps:>6}{batch:>5}{size:>5}{1000 * times['fused']:>10.2f}"
                        f"{ratios[0]:>9.2f}{ratios[1]:>8.2f}{ratios[2]:>8.1f}",
                        flush=True,
                    )
    print("\ngeometric means over sizes with several sequences: speed against the native control (= 1), share of the products' limit")
    for name in given.variants:
        print(f"{name:<22}{mean_ratio(rows, name, 'native'):>8.2f}{mean_ratio(rows, name, 'products'):>8.2f}")
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "bench.json").write_text(json.dumps({"rows": rows, **facts()}, indent=1) + "\n")
    if any("fused" in r for r in rows):
        draw(rows, given.output / "bench.png")
    print(f"{given.output / 'bench.json'}, {given.output / 'bench.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
