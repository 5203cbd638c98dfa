"""What a benchmark reports: ratios of times, as lines on the screen, a table, a file and a figure."""

from __future__ import annotations

import json
import math
import os
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from variants import Cell
from variants.engine.cpu import machine

from ..console.text import grid, wrapped
from ..files import replacing, write_whole
from ..record.facts import facts
from .measure import YARDSTICK, Measurement, control_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = {
    "call": ("call", 6),
    "native": ("control", 8),
    YARDSTICK: ("nn.LSTM", 8),
    "products": ("limit", 6),
    "eager": ("eager", 7),
}
"""What the fused engine is compared with on the screen, with the heads and widths of the columns."""
SMALL, LARGE = 64, 128
"""Units up to which speed against the eager engine is summed up, and from which the share of the limit is: what goes on
around the products decides the time of small networks, the products decide that of large ones."""


class Summary(NamedTuple):
    """Geometric means for one variant over the sizes with several sequences; nan where nothing was measured.

    control: name of its native control.
    lstm, native, eager: how many times faster the fused engine is than torch.nn.LSTM, than the control, and than the
    eager engine at few units.
    limit: the share of the limit set by its products that it reaches at many units.
    """

    variant: str
    control: str
    lstm: float
    native: float
    eager: float
    limit: float

    def row(self) -> dict[str, str | float]:
        """Return the summary as plain values, as `bench.json` has them."""
        values = self._asdict()
        return {"nn.LSTM" if name == "lstm" else name: value for name, value in values.items()}


def ratio(
    measurements: Sequence[Measurement], variant: str, against: str, units: Callable[[int], bool] = lambda n: True
) -> float:
    """Return how many times faster the fused engine is than another contestant, as a geometric mean over sizes.

    measurements: of which those with several sequences and with both contestants are taken.
    variant, against: names of the variant and of the contestant.
    units: which numbers of units are taken, by default all.
    """
    found = [
        m.seconds[against] / m.seconds["fused"]
        for m in measurements
        if m.variant == variant and m.size.batch > 1 and {"fused", against} <= m.seconds.keys() and units(m.size.units)
    ]
    return statistics.geometric_mean(found) if found else math.nan


def summary(measurements: Sequence[Measurement]) -> list[Summary]:
    """Return one summary per variant, in the order of the measurements."""
    return [
        Summary(
            variant=name,
            control=control_of(Cell.registry[name]()),
            lstm=ratio(measurements, name, YARDSTICK),
            native=ratio(measurements, name, "native"),
            eager=ratio(measurements, name, "eager", lambda n: n <= SMALL),
            limit=ratio(measurements, name, "products", lambda n: n >= LARGE),
        )
        for name in dict.fromkeys(m.variant for m in measurements)
    ]


def table(measurements: Sequence[Measurement]) -> str:
    """Return the summary as a Markdown table."""
    heads = ["variant", "speed, nn.LSTM = 1", "its control = 1"]
    heads += [f"eager = 1, N <= {SMALL}", f"share of the limit, N >= {LARGE}"]
    lines = [heads, ["---"] * len(heads)]
    for s in summary(measurements):
        lines.append(
            [f"`{s.variant}`", f"{s.lstm:.2f}", f"{s.native:.2f} (`{s.control}`)", f"{s.eager:.1f}", f"{s.limit:.2f}"]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("nan", "")


def shown(measurements: Sequence[Measurement], columns: int) -> str:
    """Return the summary as a table on the screen, below a sentence that says what its numbers are.

    columns: length of the longest line.
    """
    about = (
        "How many times as fast as nn.LSTM, as its control and as the eager engine (N <= "
        f"{SMALL}), and the share of the limit that it reaches (N >= {LARGE}); geometric means over the sizes with "
        "several sequences:"
    )
    rows = []
    for s in summary(measurements):
        numbers = (f"{s.lstm:.2f}", f"{s.native:.2f}", f"{s.eager:.1f}", f"{s.limit:.2f}")
        rows.append([s.variant, *(number.replace("nan", "") for number in numbers), s.control])
    heads = ["variant", "nn.LSTM", "control", "eager", "limit", "its control"]
    return f"{wrapped(about, columns)}\n\n{grid(heads, rows, columns)}"


def head() -> str:
    """Return the head of the table that grows on the screen, below a line that says what its numbers are."""
    columns = "".join(f"{name:>{width}}" for name, width in COLUMNS.values())
    heads = f"{'variant':<21}{'T':>5}{'B':>4}{'N':>4}{'fused ms':>9}{columns}"
    return f"Milliseconds of the fused engine, and how many times as long the others take:\n\n{heads}"


def line(measurement: Measurement) -> str:
    """Return one measurement as a line of that table; other libraries stand on a line below it."""
    (steps, batch, units), seconds = measurement.size, measurement.seconds
    fused = seconds["fused"]
    text = f"{measurement.variant:<21}{steps:>5}{batch:>4}{units:>4}{1000 * fused:>9.2f}"
    for name, (_, width) in COLUMNS.items():
        text += f"{seconds[name] / fused:>{width}.2f}" if name in seconds else " " * width
    peers = [f"{name} {seconds[name] / fused:.1f}" for name in seconds if name not in ("fused", *COLUMNS)]
    return text + (f"\n    {', '.join(peers)}" if peers else "")


def slower(measurements: Sequence[Measurement]) -> list[str]:
    """Return a line for every size at which a variant is slower than its control."""
    found = []
    for variant, (steps, batch, units), seconds in measurements:
        if "fused" in seconds and seconds["native"] < seconds["fused"]:
            share, control = seconds["native"] / seconds["fused"], control_of(Cell.registry[variant]())
            found.append(f"{variant} T={steps} B={batch} N={units}: {share:.2f} of {control}")
    return found


def draw(measurements: Sequence[Measurement], path: Path) -> None:
    """Draw bars per variant: speed beside torch.nn.LSTM = 1, its control as a mark, and the share of the limit."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = [s for s in summary(measurements) if not math.isnan(s.native)]
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(8.4, 0.27 * len(found) + 1.3), layout="constrained", sharey=True, width_ratios=(3, 2)
    )
    names = [s.variant for s in found]
    _bars(left, names, [s.lstm for s in found], "speed of the fused engine (torch.nn.LSTM = 1)")
    _bars(right, names, [s.limit for s in found], f"share of the limit set by its products, N ≥ {LARGE}")
    for control, marker, label in (("native_gru", "o", "torch.nn.GRU"), ("native_rnn", "D", "torch.nn.RNN")):
        marks = [(s.lstm / s.native, k) for k, s in enumerate(found) if s.control == control]
        if marks:
            looks: dict[str, Any] = {"ms": 5, "color": "#bd1f01", "mec": "white", "mew": 0.6, "linestyle": "none"}
            left.plot(*zip(*marks, strict=True), marker, label=f"{label}, its control", **looks)
    if left.get_legend_handles_labels()[0]:
        figure.legend(fontsize=7, loc="outside lower center", ncols=2, frameon=False)
    left.invert_yaxis()
    sizes = [m.size for m in measurements]
    values = ({s.steps for s in sizes}, {s.batch for s in sizes if s.batch > 1}, {s.units for s in sizes})
    figure.suptitle(
        "Forward and backward, one thread; geometric means over T = {}, batch {}, N = {}".format(
            *(", ".join(map(str, sorted(v))) for v in values)
        ),
        fontsize=9,
    )
    with replacing(path) as part:
        figure.savefig(part, dpi=160)
    pyplot.close(figure)


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], label: str) -> None:
    """Horizontal bars with their values, inside the bar where there is room for the text."""
    axes.barh(names, values, color="#3f90da", height=0.66)
    axes.axvline(1, color="black", linewidth=1, zorder=0.5)
    axes.set_xlabel(label, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    longest = max((v for v in values if not math.isnan(v)), default=1.0)
    for k, v in enumerate(values):
        if not math.isnan(v):
            inside = v > 0.09 * longest
            looks: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 7}
            looks |= {"ha": "right", "color": "white"} if inside else {"ha": "left", "color": "black"}
            axes.annotate(f"{v:.2f}", (v, k), xytext=(-3 if inside else 7, 0), **looks)


def about() -> dict[str, Any]:
    """Return the machine and the versions, and where matrix products come from."""
    config = torch.__config__.show()
    blas = re.search(r"BLAS_INFO=(\w+)", config)
    kind = re.search(r"Intel\(R\) oneAPI Math Kernel Library Version [\d.]+|OpenBLAS[\w. ]*", config)
    found = kind[0] if kind else "unknown"
    if kind is None and blas is not None:
        found = blas[1]
    return {
        **facts(),
        "cores": os.cpu_count(),
        "products_inside": f"code for {machine.processor()} by LLVM {machine.llvm_version()}",
        "products_outside": f"torch's BLAS: {found}",
    }


def write(measurements: Sequence[Measurement], here: Mapping[str, Any], folder: Path) -> None:
    """Write the measurements with what they were made on to `bench.json`, and the table to `bench.md`.

    here: the machine, as `about` gives it.
    folder: that is there.
    """
    rows, means = [m.row() for m in measurements], [s.row() for s in summary(measurements)]
    write_whole(folder / "bench.json", json.dumps({"rows": rows, "summary": means, **here}, indent=1) + "\n")
    write_whole(folder / "bench.md", table(measurements) + "\n")
