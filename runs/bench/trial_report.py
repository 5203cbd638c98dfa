"""What a benchmark of whole trials reports: a line for each case, tables in Markdown, a file and a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import replacing, write_whole
from .floor import KERNELS
from .trials import LOOKS, UPDATES, Measured, Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, BEFORE = "ours", "before"
WORDS = {"plain": "the plain loop", "jax": "JAX", BEFORE: "the other checkout"}
LOOKS_OF = {"plain": ("#3f90da", "o"), "jax": ("#ffa90e", "s"), BEFORE: ("#832db6", "D")}
PARTS = ("update", "evaluation", "rest", "trial")
TOLERATED = 1.03
"""How many times as long as before a trial may take; a longer one is named."""


# Numbers
# ----------------------------------------------------------------------------------------------------------------


def others(measured: Sequence[Measured]) -> list[str]:
    """Return the contestants beside ours, in the order of their first case."""
    return list(dict.fromkeys(name for m in measured for name in m.turns if name != OURS))


def share_of_kernels(measured: Measured) -> float:
    """Return the share of an update of ours that the two passes over time take; nan where the pieces are not known."""
    if not {*KERNELS, "update"} <= measured.update_parts.keys():
        return math.nan
    return sum(measured.update_parts[name] for name in KERNELS) / measured.update_parts["update"]


def share_of_floor(measured: Measured) -> float:
    """Return the share of an update of ours that its arithmetic needs at least; nan where that is not known."""
    return measured.floor / measured.median(OURS, "update")


def row(measured: Measured) -> dict[str, Any]:
    """Return what was measured for a case as plain values, one level deep.

    Seconds of each part are medians over turns. `<name>_times` is how many times as long as ours a trial takes, with
    the quartiles `<name>_low` and `<name>_high`.
    """
    variant, task, size = measured.case
    found: dict[str, Any] = {"variant": variant, "task": task, **size._asdict(), "updates": measured.updates}
    found["turns"] = len(measured.turns[OURS])
    for name in measured.turns:
        found |= {f"{name}_{part}": measured.median(name, part) for part in PARTS}
        if name != OURS:
            ratio = measured.ratio(name, OURS)
            found |= {f"{name}_times": ratio.median, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
    found |= {f"ours_{name}": seconds for name, seconds in measured.update_parts.items() if name != "update"}
    shares = {"floor": measured.floor, "kernels": share_of_kernels(measured)}
    return found | {name: value for name, value in shares.items() if not math.isnan(value)}


def slower(measured: Sequence[Measured]) -> list[str]:
    """Return a line for every case in which a trial takes more than 1.03 times as long as in the other checkout."""
    found = []
    for m in measured:
        if BEFORE in m.turns:
            ratio = m.ratio(OURS, BEFORE)
            if ratio.median > TOLERATED:
                variant, task, (steps, batch, units) = m.case
                found.append(
                    f"{variant} {task} T={steps} B={batch} N={units}: {spelled(ratio)} times as long as before"
                )
    return found


# Text
# ----------------------------------------------------------------------------------------------------------------


def spelled(spread: Spread) -> str:
    """Return a median with its quartiles.

    >>> spelled(Spread(median=4.8123, low=4.7, high=4.9))
    '4.81 (4.70 to 4.90)'
    """
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"


def line(measured: Measured) -> str:
    """Return a case as a line on the screen: milliseconds of our update, ratios, and shares of the update."""
    variant, task, (steps, batch, units) = measured.case
    text = f"{variant} {task} T={steps} B={batch} N={units}: {1000 * measured.median(OURS, 'update'):.3f} ms an update"
    for name in others([measured]):
        parts = (f"{part} {measured.ratio(name, OURS, part).median:.2f}" for part in ("update", "evaluation"))
        text += f"; {name} trial {spelled(measured.ratio(name, OURS))}, {', '.join(parts)} times ours"
    for what, share in (("kernels", share_of_kernels(measured)), ("floor", share_of_floor(measured))):
        if not math.isnan(share):
            text += f"; {what} {share:.0%}"
    return text


def by_size(measured: Sequence[Measured], cell: Callable[[Measured], str]) -> str:
    """Return a Markdown table with a line for each variant, task, length and batch, and a column for each width.

    measured: all of them.
    cell: what is said of a case.
    """
    widths = sorted({m.case.size.units for m in measured})
    lines: dict[tuple[str, ...], dict[int, str]] = {}
    for m in measured:
        variant, task, (steps, batch, units) = m.case
        lines.setdefault((f"`{variant}`", task, str(steps), str(batch)), {})[units] = cell(m)
    heads = ["variant", "task", "T", "batch", *(f"N = {n}" for n in widths)]
    rows = [heads, ["---"] * 2 + ["---:"] * (len(heads) - 2)]
    rows += [[*key, *(cells.get(n, "") for n in widths)] for key, cells in lines.items()]
    return "\n".join(f"| {' | '.join(each)} |" for each in rows)


def tables(measured: Sequence[Measured], here: Mapping[str, Any]) -> str:
    """Return all tables in Markdown, with one line above them on the machine.

    measured: all cases.
    here: the machine, as `report.about` gives it; with "peak", in operations in a second, where it was measured.
    """
    machine = f"{here['processor']}, one thread, float32; Python {here['python']}, torch {here['versions']['torch']}"
    if "peak" in here:
        machine += f"; peak of one core {here['peak'] / 1e9:.0f} GFLOP/s"
    found = [f"Machine: {machine}."]
    for name in others(measured):
        title = f"How many times as long as ours a trial takes with {WORDS[name]}"
        one, other = name, OURS
        if name == BEFORE:
            title, one, other = "The time of a trial now, relative to the other checkout", OURS, BEFORE
        table = by_size([m for m in measured if name in m.turns], partial(_ratio, one=one, other=other))
        found.append(
            f"**{title}** ({UPDATES:,} updates, {LOOKS + 1} looks; median and quartiles over turns)\n\n{table}"
        )
    update = by_size(measured, lambda m: f"{1000 * m.median(OURS, 'update'):.3f}")
    found.append(f"**Milliseconds of an update of ours, with its data**\n\n{update}")
    for share, title in (
        (share_of_kernels, "Share of an update that the kernels take: both passes over time, with dR, dW and db"),
        (share_of_floor, "Share of an update that its arithmetic needs at least"),
    ):
        there = [m for m in measured if not math.isnan(share(m))]
        if there:
            found.append(f"**{title}**\n\n{by_size(there, partial(_percent, share=share))}")
    return "\n\n".join(found)


def _ratio(measured: Measured, *, one: str, other: str) -> str:
    return spelled(measured.ratio(one, other))


def _percent(measured: Measured, *, share: Callable[[Measured], float]) -> str:
    return f"{share(measured):.0%}"


def write(measured: Sequence[Measured], here: Mapping[str, Any], folder: Path) -> None:
    """Write `trials.json`, a row for each case with what it was measured on, and `trials.md`, the tables.

    measured, here: as in `tables`.
    folder: that is there.
    """
    write_whole(folder / "trials.json", json.dumps({"rows": [row(m) for m in measured], **here}, indent=1) + "\n")
    write_whole(folder / "trials.md", tables(measured, here) + "\n")


# The figure
# ----------------------------------------------------------------------------------------------------------------


def draw(measured: Sequence[Measured], path: Path) -> None:
    """Draw how many times as long as ours a trial takes, by width: a row of panels for each variant, one for each
    length; filled marks for the largest batch, open ones for the others.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    variants = list(dict.fromkeys(m.case.variant for m in measured))
    columns = list(dict.fromkeys((m.case.task, m.case.size.steps) for m in measured))
    figure, panels = pyplot.subplots(
        nrows=len(variants),
        ncols=len(columns),
        figsize=(1.2 + 1.75 * len(columns), 0.9 + 1.75 * len(variants)),
        layout="constrained",
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    for k, variant in enumerate(variants):
        for axes, (task, steps) in zip(panels[k], columns, strict=True):
            chosen = [m for m in measured if (m.case.variant, m.case.task, m.case.size.steps) == (variant, task, steps)]
            _panel(axes, chosen)
            if k == 0:
                axes.set_title(f"{task}, T = {steps}", fontsize=8)
        panels[k][0].set_ylabel(variant, fontsize=8)
        panels[k][0].set_ylim(bottom=0)  # at the end, as the panels of a row share it
    for axes in panels[-1]:
        axes.set_xlabel("units N", fontsize=8)
    handles = {label: h for axes in panels.flat for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), fontsize=7, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle("Time of a whole trial relative to ours (dashed line), one thread", fontsize=9)
    with replacing(path) as part:
        figure.savefig(part, dpi=160)
    pyplot.close(figure)


def _panel(axes: Axes, measured: Sequence[Measured]) -> None:
    """Draw the ratios of one variant, task and length, with their quartiles."""
    axes.axhline(1, color="black", linewidth=1, linestyle="--", zorder=0.5)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xscale("log", base=2)
    batches = sorted({m.case.size.batch for m in measured}, reverse=True)
    for name in others(measured):
        color, marker = LOOKS_OF[name]
        for batch in batches:
            there = [m for m in measured if m.case.size.batch == batch and name in m.turns]
            ratios = [m.ratio(name, OURS) for m in there]
            spans = [[r.median - r.low for r in ratios], [r.high - r.median for r in ratios]]
            looks: dict[str, Any] = {"color": color, "fmt": marker + "-", "ms": 4, "lw": 1, "elinewidth": 1}
            if batch != batches[0]:
                looks |= {"mfc": "white", "fmt": marker + ":"}
            units, medians = [m.case.size.units for m in there], [r.median for r in ratios]
            axes.errorbar(units, medians, yerr=spans, label=f"{WORDS[name]}, batch {batch}", **looks)
    ticks = sorted({m.case.size.units for m in measured})
    axes.set_xticks(ticks, [str(n) if n != 27 else "" for n in ticks])
    axes.minorticks_off()
