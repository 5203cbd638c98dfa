"""The share of the variance of the score that each hyperparameter explains: figure 5 of Greff et al. 2017."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..tables.importance import LEAST_R2, error_text, share_text
from .choice import hyperparameters_in, rows_in
from .entry import Entry, a_row_for_each_pair
from .importance import TOO_FEW
from .look import BACK, COLOURS, GREY, page, styled
from .pieces import ROW, counts_of, empty, ink_on, right_heads, right_of_row, row_axis, row_names, row_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Which hyperparameters matter"
CAPTION = (
    "Which hyperparameters decide about the score? Share of its variance over the search space that each explains "
    "alone, that all pairs add, and that three and more add; tune the longest parts first. A bar ends at what a model"
    " of the trials explains of trials it has not seen (R², 5-fold cross-validation); what is white is the luck of a "
    "seed, or more than these trials can show. Bars are pale where that is below half: the order of their parts is no"
    " finding. Below 100 trials a share is good to one digit. After figure 5 of Greff et al. 2017, whose shares are "
    "of the variance of the surrogate."
)
OF_LOSSES = (
    "Shares of a task without a criterion of success are of the variance of the test loss; a loss above that of the "
    "best constant answer counts as that loss. Greff et al. 2017 found that the learning rate explains more than two "
    "thirds of the variance, that the hidden size comes second, and that momentum explains next to nothing."
)
PAIRS, REST = "all pairs", "three and more"


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the shares as in `tables.importance`.
    bars: one row per (task, variant, part), from left to right: share of the variance of the score, and its error;
        parts are the hyperparameters, all pairs, and three and more.
    fits: one row per (task, variant): R² of the better surrogate, which one the shares are from, and of how many
        trials.
    rows: by task, the variants from top to bottom.
    counts: the summary of the study.
    outcome: what varies: the score, the test loss, or both.
    """

    data: pd.DataFrame
    bars: pd.DataFrame
    fits: pd.DataFrame
    rows: dict[str, list[str]]
    counts: pd.DataFrame
    outcome: str


def numbers(study: Study, shares: pd.DataFrame) -> Numbers:
    """Return the shares of each hyperparameter, of all pairs, and of the rest; shares: of `tables.importance`."""
    names = hyperparameters_in(study, shares.loc[shares["order"] == 1, "term"])
    bars, fits = [], []
    for (task, variant), own in shares.groupby(["task", "variant"], sort=False):
        alone = own[own["order"] == 1].set_index("term")
        place = {"task": task, "variant": variant}
        parts = [(name, alone.loc[name, "of_score"], alone.loc[name, "of_score_error"]) for name in names]
        parts += [(PAIRS, own.loc[own["order"] == 2, "of_score"].sum(), np.nan)]
        parts += [(REST, own.loc[own["order"] == 3, "of_score"].sum(), np.nan)]
        bars += [{**place, "part": part, "share": share, "error": error} for part, share, error in parts]
        fits.append({**place, **own[["r2", "surrogate", "trials"]].iloc[0]})
    rows = rows_in(study, shares)
    kinds = dict.fromkeys("score" if study.solvable(task) else "test loss" for task in rows)
    return Numbers(shares, pd.DataFrame(bars), pd.DataFrame(fits), rows, study.summary, " or ".join(kinds))


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a bar for each variant, taken apart. Bars are pale where the surrogate predicts less than half."""
    from matplotlib.patches import Patch

    rows = numbers.rows
    if not rows:
        return empty(TOO_FEW)
    colours = _colours(list(dict.fromkeys(numbers.bars["part"])))
    figure, grid, two_lines = row_panels(rows, height=ROW, around=0.6, extra=0.5)
    for axes, (task, variants) in zip(grid.flat, rows.items(), strict=True):
        for y, variant in enumerate(variants):
            own, fit = (f[(f["task"] == task) & (f["variant"] == variant)] for f in (numbers.bars, numbers.fits))
            _bar(axes, own, y, colours, fit.iloc[0])
            r2 = max(fit["r2"].iloc[0], 0.0)
            right_of_row(axes, f"{100 * r2:.0f} %", y, right=4, colour=GREY)
        axes.set_title(words.spoken(task))
        right_heads(axes, (4,), ("explained",))
        axes.set_xlim(0, 1.0)
        row_axis(axes, len(variants), across=False)
        counts = numbers.counts[numbers.counts["task"] == task]
        row_names([axes], variants, counts_of(counts, variants), two_lines=two_lines)
    grid[-1, 0].set_xlabel(f"share of the variance of the {numbers.outcome}, ± standard error")
    handles = [Patch(color=colour, label=words.spoken(part)) for part, colour in colours.items()]
    columns = min(len(handles), page().columns(5, 2))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _colours(parts: list[str]) -> dict[str, Any]:
    """Return the colour of each part: of the palette for hyperparameters, greys for all pairs and the rest."""
    return {**dict(zip(parts[:-2], cycle(COLOURS), strict=False)), PAIRS: BACK, REST: "#c8c8c8"}


def _bar(axes: Axes, own: pd.DataFrame, y: float, colours: dict[str, Any], fit: pd.Series) -> None:
    """Draw the parts of one bar from left to right, and write in those that are wide enough; fit: a row of `fits`."""
    from matplotlib.colors import to_rgb

    middle: dict[str, Any] = {"ha": "center", "va": "center"}
    left, pale = 0.0, bool(fit["r2"] < LEAST_R2)
    for row in own.to_dict("records"):
        share, colour = row["share"], colours[row["part"]]
        axes.barh(y, share, left=left, height=0.74, color=colour, alpha=0.35 if pale else 1.0, ec="white", lw=0.6)
        if share >= 0.07:
            ink = "black" if pale else ink_on(to_rgb(colour))
            axes.text(left + share / 2, y, _in_bar(share, row["error"], fit["trials"]), color=ink, **middle)
        left += share
    if left == 0:
        axes.text(0.5, y, "nothing to explain: the surrogate predicts nothing", color=GREY, **middle)


def _in_bar(share: float, error: float, trials: int) -> str:
    """Return a share without its zero, with its error where there is room."""
    text = share_text(share, trials)
    if np.isfinite(error) and share > 0.2:
        text += f" ± {error_text(error, trials)}"
    return text.replace("0.", ".")


FIGURE = Entry(
    "shares", TITLE, CAPTION, numbers, draw, needs=("shares",), rows=a_row_for_each_pair, of_losses=OF_LOSSES
)
