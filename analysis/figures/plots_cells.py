"""The figures that look inside trained cells: gradients against the lag, and gates and states over one sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..tables.diagnosis import OF_THE_NETWORK, PHASES
from ..tables.summary import order
from . import style
from .pieces import MOST_CURVES, Drawn, empty, label_ends, log_ticks, note_lines, readable, styled
from .style import GREY, PALE, look, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Design = Mapping[str, Any]
LEAST_GRADIENT = 1e-9  # of the first, at the foot of a panel
MOST_UNITS = 64  # in one heat map; of more every k-th in their order
MOST_COLUMNS = 7  # heat maps side by side


# Gradients
# ----------------------------------------------------------------------------------------------------------------


@styled
def gradients(table: pd.DataFrame, design: Design, gradients: pd.DataFrame) -> Drawn:
    """Norm of the gradient of the last answer's loss by the state k steps before it, relative to k = 1, at the start
    and trained.

    gradients: of `diagnostics.read`. Up to six variants share two panels for each task; more have a panel each.
    """
    tasks = [t for t in order(table, design, "task") if t in set(gradients["task"])]
    variants = [v for v in order(table, design, "variant") if v in set(gradients["variant"])]
    if not tasks or not variants:
        return Drawn(empty("no trained cell has been looked into yet"), gradients)
    data = gradients.drop(columns=list(OF_THE_NETWORK))
    outcomes = _outcomes(table, gradients)
    if len(variants) <= MOST_CURVES:
        return Drawn(_together(gradients, tasks, variants, outcomes), data)
    return Drawn(_apart(gradients, tasks, variants, outcomes), data)


def _together(
    gradients: pd.DataFrame, tasks: Sequence[str], variants: Sequence[str], outcomes: Mapping[Any, str]
) -> Figure:
    height = 1.9
    figure = new_figure(style.WIDTH, len(tasks) * (height + 0.55 + 0.115 * len(variants)) + 0.15)
    grid = figure.subplots(len(tasks), 2, squeeze=False, sharey="row", sharex="row")
    for row, task in zip(grid, tasks, strict=True):
        for axes, phase in zip(row, PHASES, strict=True):
            own = gradients[(gradients["task"] == task) & (gradients["phase"] == phase)]
            ends = []
            for variant in variants:
                x, y = _curve(own[own["variant"] == variant])
                if len(x):
                    mark = look(variant)
                    axes.plot(x, y, color=mark.colour, ls=mark.dash, zorder=3.5 if variant == variants[0] else 3)
                    ends.append((variant, float(x[-1]), float(y[-1])))
            _scale(axes, gradients[gradients["task"] == task])
            _relevant(axes, own)
            label_ends(axes, ends, height)
            axes.set_title(f"{task}, {phase}")
            axes.set_xlabel("lag in steps (grey at the foot: inputs that decide the answer)", fontsize=7)
        row[0].set_ylabel("gradient norm,\nrelative to lag 1")
        note_lines(row[0], [f"{v}: {outcomes[task, v]}" for v in variants if (task, v) in outcomes], 27)
    return figure


def _apart(
    gradients: pd.DataFrame, tasks: Sequence[str], variants: Sequence[str], outcomes: Mapping[Any, str]
) -> Figure:
    columns = 4
    rows = -(-len(variants) // columns) * len(tasks)
    figure = new_figure(style.WIDTH, rows * 1.55 + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=len(tasks) == 1, sharey=len(tasks) == 1)
    spots = iter(grid.flat)
    for task in tasks:
        of_task = gradients[gradients["task"] == task]
        block = [next(spots) for _ in range(-(-len(variants) // columns) * columns)]
        for axes in block[len(variants) :]:
            axes.set_axis_off()
        curves = {v: _curve(of_task[(of_task["variant"] == v) & (of_task["phase"] == PHASES[1])]) for v in variants}
        for place, (axes, variant) in enumerate(zip(block, variants, strict=False)):
            mark = look(variant)
            others = [
                np.append(curve, [[np.nan], [np.nan]], axis=1) for other, curve in curves.items() if other != variant
            ]
            # one line with gaps is drawn faster than nineteen
            axes.plot(*np.concatenate(others, axis=1), color=PALE, lw=0.6, zorder=1)
            axes.plot(
                *_curve(of_task[(of_task["variant"] == variant) & (of_task["phase"] == PHASES[0])]),
                color=mark.colour,
                lw=1.0,
                ls=":",
            )
            axes.plot(*curves[variant], color=mark.colour, lw=1.6, zorder=3)
            if place == 0 or len(tasks) > 1:  # otherwise they share it
                _scale(axes, of_task, few=True)
            _relevant(axes, of_task[of_task["phase"] == PHASES[1]])
            axes.set_title(variant, fontsize=7.5, color=readable(mark.colour), pad=3)
            if len(tasks) > 1 and place == 0:
                axes.set_title(f"{task}\n{variant}", fontsize=7.5, pad=3)
            last = place + columns >= len(variants)
            axes.tick_params(labelsize=6.5, labelbottom=last or len(tasks) > 1)
            text = outcomes.get((task, variant), "no diagnosis").replace(", test", ",\ntest")
            note_lines(axes, text.split("\n"), 15 if last or len(tasks) > 1 else 5)
    about = "dotted: at the start, solid: trained, grey: the others trained; at the foot: inputs that decide the answer"
    figure.supxlabel(f"lag in steps\n{about}", fontsize=8)
    figure.supylabel("gradient norm, relative to lag 1", fontsize=8)
    return figure


def _curve(own: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Lags and relative norms that a log axis can show."""
    shown = own[np.isfinite(own["relative"]) & (own["relative"] > 0)].sort_values("lag")
    return shown["lag"].to_numpy(), shown["relative"].to_numpy()


def _scale(axes: Axes, of_task: pd.DataFrame, few: bool = False) -> None:
    """A log axis that shows all phases and variants of a task, down to the smallest gradient worth showing."""
    from matplotlib.ticker import MaxNLocator

    values = of_task["relative"].to_numpy(dtype=float)
    values = values[np.isfinite(values) & (values > 0)]
    low, high = (max(LEAST_GRADIENT, values.min()), max(1.0, values.max())) if len(values) else (0.1, 1.0)
    margin = (high / low) ** 0.06 if high > low else 2.0
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylim(low / margin**2, min(high * margin, 1e30))
    axes.set_xlim(0, max(2, of_task["lag"].max()))
    log_ticks(axes.yaxis, few=few)


def _relevant(axes: Axes, own: pd.DataFrame) -> None:
    """Grey at the foot of a panel where the inputs are that decide the answer, the darker the more sequences have one
    there.
    """
    from matplotlib.collections import PolyCollection

    shares = own.groupby("lag")["relevant"].max()
    shares = shares[shares > 0]
    boxes = [[(lag - 0.5, 0), (lag + 0.5, 0), (lag + 0.5, 0.05), (lag - 0.5, 0.05)] for lag in shares.index]
    inks = [(0, 0, 0, 0.15 + 0.55 * share / shares.max()) for share in shares]
    axes.add_collection(
        PolyCollection(boxes, facecolors=inks, lw=0, zorder=2, transform=axes.get_xaxis_transform()), autolim=False
    )


def _outcomes(table: pd.DataFrame, found: pd.DataFrame) -> dict[tuple[str, str], str]:
    """How the runs went that gave the networks, by (task, variant): '46 units, solved, test loss 0.0031'.

    An asterisk stands where it is not the run of the table: trained again with another result, or of another state of
    the study.
    """
    known, texts = set(table["trial_id"]), {}
    for row in found[["task", "variant", *OF_THE_NETWORK]].drop_duplicates(["task", "variant"]).to_dict("records"):
        mark = "" if row["reproduced"] and row["trial_id"] in known else " *"
        loss = "none" if row["test_loss"] is None else f"{row['test_loss']:.2g}"
        texts[row["task"], row["variant"]] = f"{row['hidden_size']} units, {row['status']}, test loss {loss}{mark}"
    return texts


# Gates and states
# ---------------------------------------------------------------------------------------------------------


@styled
def activations(table: pd.DataFrame, design: Design, sequences: pd.DataFrame) -> Drawn:
    """Gates and states of each variant's best network over one test sequence, a heat map each: units down, steps
    across.

    sequences: of `diagnostics.read`; of several layers the highest is drawn. The units of a variant have the same order
    in all its heat maps, by their part in the first principal component of its states.
    """
    shown = sequences[sequences["top"].astype(bool)]
    tasks = [t for t in order(table, design, "task") if t in set(shown["task"])]
    pairs = [
        (t, v)
        for t in tasks
        for v in order(table, design, "variant")
        if ((shown["task"] == t) & (shown["variant"] == v)).any()
    ]
    if not pairs:
        return Drawn(empty("no trained cell has been looked into yet"), sequences)
    outcomes = _outcomes(table, shown)
    maps = {pair: _maps(shown[(shown["task"] == pair[0]) & (shown["variant"] == pair[1])]) for pair in pairs}
    columns = min(MOST_COLUMNS, max(len(m) for m in maps.values()))
    lines = len(tasks) + sum(-(-len(m) // columns) for m in maps.values())
    height = float(np.clip(10.8 / lines - 0.2, 0.28, 0.95))
    names, gap, title, foot = 1.12, 0.1, 0.2, 0.3
    figure = new_figure(style.WIDTH, lines * (height + title) + foot + 0.1)
    figure.set_layout_engine("none")
    width = (style.WIDTH - names - 0.1 - gap * (columns - 1)) / columns
    top = figure.get_size_inches()[1] - 0.05

    def spot(line: int, column: int) -> Axes:
        box = (names + column * (width + gap), top - (line + 1) * (height + title), width, height)
        return figure.add_axes([v / s for v, s in zip(box, np.tile(figure.get_size_inches(), 2), strict=True)])

    line, rows = 0, []
    for task in tasks:
        of_task = [pair for pair in pairs if pair[0] == task]
        own = shown[(shown["task"] == task) & (shown["variant"] == of_task[0][1])]
        marks = {kind: np.flatnonzero(own.loc[own["kind"] == kind, "values"].iloc[0]) for kind in ("mark", "read")}
        inputs = np.stack(own.loc[own["kind"] == "input", "values"].to_list())
        axes = spot(line, 0)
        _heat_map(axes, inputs, "input", marks, "input")
        _row_name(axes, task, f"{len(inputs)} inputs, {inputs.shape[1]} steps", bold=True)
        if line == 0:
            _legend(figure, spot(line, 1) if columns > 1 else axes, names + width + gap + 0.15, top - title - height)
        line += 1
        for _, variant in of_task:
            for k, (kind, name, function, values) in enumerate(maps[task, variant]):
                axes = spot(line + k // columns, k % columns)
                _heat_map(axes, values, name, marks, function if kind == "gate" else "")
                if k == 0:
                    _row_name(axes, variant, outcomes[task, variant].replace(", ", "\n"))
                steps = {f"step_{t}": values[:, t] for t in range(values.shape[1])}
                head = {
                    "task": task,
                    "variant": variant,
                    "kind": kind,
                    "name": name,
                    "function": function,
                    "row": np.arange(len(values)),
                }
                rows.append(pd.DataFrame({**head, **steps}).round(4))
            line += -(-len(maps[task, variant]) // columns)
    return Drawn(figure, pd.concat(rows, ignore_index=True))


def _maps(own: pd.DataFrame) -> list[tuple[str, str, str, np.ndarray]]:
    """(kind, name, function, values [units, T]) of the gates and states of one variant, its units in one order for all."""
    found = []
    for kind in ("gate", "state"):
        of_kind = own[own["kind"] == kind]
        for name, units in of_kind.groupby("name", sort=False):
            values = np.nan_to_num(np.stack(units.sort_values("unit")["values"].to_list()).astype(float))
            found.append((kind, str(name), units["function"].iloc[0], values))
    states = [values / max(np.abs(values).max(), 1e-12) for kind, _, _, values in found if kind == "state"]
    ranks = unit_order(np.concatenate(states, axis=1))
    ranks = (
        ranks[np.unique(np.linspace(0, len(ranks) - 1, MOST_UNITS).round().astype(int))]
        if len(ranks) > MOST_UNITS
        else ranks
    )
    return [(kind, name, function, values[ranks]) for kind, name, function, values in found]


def unit_order(states: np.ndarray) -> np.ndarray:
    """Units by their part in the first principal component of their states, the most positive first.

    states: [units, anything].
    """
    left, _, right = np.linalg.svd(states, full_matrices=False)
    sign = 1.0 if right[0].sum() >= 0 else -1.0
    return np.argsort(-sign * left[:, 0].round(9), kind="stable")


def _heat_map(axes: Axes, values: np.ndarray, name: str, marks: Mapping[str, np.ndarray], function: str) -> None:
    """One heat map with its name and, where its scale is its own, the end of the scale."""
    looks = {
        "aspect": "auto",
        "interpolation": "none",
        "extent": (-0.5, values.shape[1] - 0.5, len(values) - 0.5, -0.5),
    }
    if function in ("sigmoid", "hardsigmoid"):
        axes.imshow(values, cmap="cividis", vmin=0, vmax=1, **looks)
        text = name
    elif function == "input" and values.min() >= 0:
        axes.imshow(values, cmap="Greys", vmin=0, vmax=max(1.0, values.max()), **looks)
        text = name
    else:
        limit = max(float(np.abs(values).max()), 1e-12)
        axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, **looks)
        text = f"{name}  ±{limit:.2g}"
    axes.set_title(text, fontsize=6.5, pad=5.5, fontweight="normal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(function == "input")
    few = {kind: steps for kind, steps in marks.items() if len(steps) <= max(1, values.shape[1] // 2)}
    for kind, steps in few.items():
        y, marker = (1.0, "v") if kind == "mark" else (0.0, "^")
        shift = 0.03 if kind == "mark" else -0.03
        where = {"transform": axes.get_xaxis_transform(), "clip_on": False, "ls": "none"}
        axes.plot(steps, np.full(len(steps), y + shift), marker=marker, ms=2.6, mew=0, color="black", **where)


def _row_name(axes: Axes, name: str, facts: str, bold: bool = False) -> None:
    """The name of a row left of its first heat map, and small print under it."""
    where = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "annotation_clip": False}
    axes.annotate(name, (0, 1), xytext=(-5, 0), va="top", fontsize=7, fontweight="bold" if bold else "normal", **where)
    axes.annotate(facts, (0, 1), xytext=(-5, -9), va="top", fontsize=5.3, color=GREY, linespacing=1.1, **where)


def _legend(figure: Figure, axes: Axes, left: float, bottom: float) -> None:
    """What marks and colours mean, right of the inputs."""
    axes.set_axis_off()
    size = figure.get_size_inches()
    lines = ["▼ input that decides an answer    ▲ step at which an answer is read (not marked where most steps are)"]
    for k, (cmap, text) in enumerate(
        (("cividis", "sigmoid gates, 0 to 1"), ("RdBu_r", "all others, ± the value in the title, white at 0"))
    ):
        bar = figure.add_axes([(left + k * 1.75) / size[0], (bottom + 0.0) / size[1], 0.35 / size[0], 0.08 / size[1]])
        bar.imshow(np.linspace(0, 1, 64)[None, :], cmap=cmap, aspect="auto")
        bar.set_axis_off()
        figure.text(
            (left + k * 1.75 + 0.4) / size[0], (bottom + 0.04) / size[1], text, fontsize=6, color=GREY, va="center"
        )
    figure.text(left / size[0], (bottom + 0.2) / size[1], lines[0], fontsize=6, color=GREY, va="center")
