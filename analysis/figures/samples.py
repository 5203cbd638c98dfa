"""Sequences that trained networks with latent variables invent, beside sequences of their task."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from .choice import rows_in
from .diagnosis import NOTHING, outcomes_of
from .entry import Entry, a_page_for_each_task
from .look import GREY, VALUES, new_figure, page, styled
from .pieces import empty, room_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Samples beside data"
CAPTION = (
    "Do the sequences that a network invents look like those of its task? The first row shows test sequences, each "
    "other row what the best trial of a network invents, drawn from its prior: steps from top to bottom, bits across, "
    "dark where a bit is on. Under each name stands how many latent dimensions are used, those whose posterior "
    "differs from the prior by more than 0.01 nats a step."
)
USED = 0.01
DATA = "data"
_NAMES, _GAP, _LINE = 1.9, 0.1, 0.16  # inches


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: one row per (task, variant, kind, sequence, step), with the bits that are on as text.
    rows: by task, the pictures [sequences, T, O] of the data and of each variant.
    used: by (task, variant), how many latent dimensions are used, and of how many.
    outcomes: by (task, variant), how the run went that gave the network.
    """

    data: pd.DataFrame
    rows: Mapping[str, Mapping[str, np.ndarray]]
    used: Mapping[tuple[str, str], tuple[int, int]]
    outcomes: Mapping[tuple[str, str], str]


def numbers(study: Study, invented: pd.DataFrame) -> Numbers:
    """Return what the best network of each pair invents; invented: of `tables.diagnosis`."""
    rows: dict[str, dict[str, np.ndarray]] = {}
    used: dict[tuple[str, str], tuple[int, int]] = {}
    for task, variants in rows_in(study, invented).items():
        for variant in variants:
            own = invented[(invented["task"] == task) & (invented["variant"] == variant)]
            there = rows.setdefault(task, {DATA: _pictures(own[own["kind"] == DATA])})
            there[variant] = _pictures(own[own["kind"] != DATA])
            kl = np.asarray(own["kl_by_dimension"].iloc[0])
            used[task, variant] = int((kl > USED).sum()), len(kl)
    if not rows:
        return Numbers(invented, {}, {}, {})
    data = invented[["task", "variant", "kind", "sequence", "step"]].copy()
    data["bits"] = ["".join(f"{bit:.0f}" for bit in values) for values in invented["values"]]
    return Numbers(data.reset_index(drop=True), rows, used, outcomes_of(study, invented))


def _pictures(rows: pd.DataFrame) -> np.ndarray:
    ordered = rows.sort_values(["sequence", "step"])
    steps = int(ordered["step"].max()) + 1
    values = np.stack(ordered["values"].to_list())
    return values.reshape(-1, steps, values.shape[-1])


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a row of pictures for the data of each task and for each network."""
    if not numbers.rows:
        return empty(NOTHING)
    rows = [(task, name) for task, names in numbers.rows.items() for name in names]
    across = max(len(pictures) for names in numbers.rows.values() for pictures in names.values())
    own = (page().width - _NAMES - 0.1 - _GAP * (across - 1)) / across
    tall = float(np.clip(11.5 / len(rows) - _GAP, 0.3, max(own, 5 * _LINE)))
    figure = new_figure(page().width, len(rows) * (tall + _GAP) + _GAP)
    figure.set_layout_engine("none")
    width, height = figure.get_size_inches()
    for line, (task, name) in enumerate(rows):
        bottom = height - (line + 1) * (tall + _GAP)
        facts = [words.spoken(task)] if name == DATA else _facts(numbers, task, name)
        lines = [text for fact in facts for text in wrap(fact, room_for(_NAMES - 0.15))]
        figure.text(0.06 / width, (bottom + tall) / height, words.spoken(name), va="top", fontsize=8)
        room = max(0, int(tall / _LINE) - 1)
        small = "\n".join(lines[:room])
        figure.text(0.06 / width, (bottom + tall - _LINE) / height, small, va="top", fontsize=8, color=GREY)
        for k, picture in enumerate(numbers.rows[task][name]):
            left = _NAMES + k * (own + _GAP)
            axes = figure.add_axes((left / width, bottom / height, own / width, tall / height))
            axes.imshow(picture, aspect="auto", interpolation="none", cmap=VALUES, vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
    return figure


def _facts(numbers: Numbers, task: str, variant: str) -> list[str]:
    used, of = numbers.used[task, variant]
    return [f"{used} of {of} latent dimensions used", numbers.outcomes[task, variant]]


FIGURE = Entry(
    "samples",
    TITLE,
    CAPTION,
    numbers,
    draw,
    needs=("invented",),
    rows=a_page_for_each_task,
    command="runs.inside",
    of_networks=True,
)
