"""The tables of the report: columns with a heading, a value to sort by and a text to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS
from ..study import Study
from ..tables.settings import BEST
from ..tables.two_studies import ADVANTAGE, TwoStudies

Row = Mapping[Any, Any]


class Cell(NamedTuple):
    """One cell: the value that a column is sorted by (empty for none), the text, and whether it is aligned as text."""

    value: Any
    shown: str
    text: bool


class Column(NamedTuple):
    """One column.

    title: its heading.
    value: computes what the column is sorted by from a row.
    form: format of the value; empty for text.
    shown: computes the text from a row, where the format is not enough.
    """

    title: str
    value: Callable[[Row], Any]
    form: str = ""
    shown: Callable[[Row], str] | None = None

    def cell(self, row: Row) -> Cell:
        """Return the cell of a row; a dash where there is no number.

        >>> named("solve_rate", "solve rate", ".0%").cell({"solve_rate": 0.25}).shown
        '25%'
        """
        value = self.value(row)
        if value is None or (isinstance(value, float) and not np.isfinite(value)):
            return Cell("", words.NOTHING, self.form == "")
        shown = self.shown(row) if self.shown else format(value, self.form)
        return Cell(value, shown, self.form == "")


class Table(NamedTuple):
    """A table whose headings sort it: columns, cells [rows, columns], and which rows stand out."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    marked: Sequence[bool]

    @classmethod
    def of(
        cls, columns: Sequence[Column], rows: Iterable[Row], marked: Callable[[Row], bool] = lambda row: False
    ) -> Table:
        """Return a table of plain rows; marked: whether a row stands out."""
        rows = list(rows)
        return cls(columns, [[c.cell(row) for c in columns] for row in rows], [marked(row) for row in rows])


def named(name: str, title: str, form: str = "", shown: Callable[[Row], str] | None = None) -> Column:
    """Return a column that shows an entry of its rows; name: of the entry, which may be missing."""
    return Column(title, lambda row: row.get(name), form, shown)


# All numbers
# ----------------------------------------------------------------------------------------------------------------------


def solve_rate(row: Row) -> str:
    """Return a solve rate with its confidence interval.

    >>> solve_rate({"solve_rate": 0.25, "solve_low": 0.071, "solve_high": 0.591})
    '25 % (7–59)'
    """
    return f"{100 * row['solve_rate']:.0f} % ({100 * row['solve_low']:.0f}–{100 * row['solve_high']:.0f})"


SUMMARY = [
    named("task", "task"),
    named("variant", "variant"),
    named("trials", "N", "d"),
    named("solved", "solved", "d"),
    named("diverged", "diverged", "d"),
    named("failed", "failed", "d"),
    named("solve_rate", "solve rate, 95 % interval", ".0%", solve_rate),
    named("restricted_steps", "steps to solve", ",.0f"),
    named("decile_score", "score, best decile", ".3f"),
    named("expected_best_20", "expected best of 20", ".3f"),
    named("decile_loss", "loss, best decile", ".3g"),
    named("decile_parameters", "parameters, best decile", ",.0f"),
    named("seconds", "seconds per trial", ".3g"),
]


def summary_table(study: Study) -> Table:
    """Return the summary of each pair; rows of the baseline stand out."""
    return Table.of(SUMMARY, study.summary.to_dict("records"), lambda row: bool(row["variant"] == study.baseline))


# Recommended settings
# ----------------------------------------------------------------------------------------------------------------------


def settings_table(study: Study, settings: pd.DataFrame) -> Table:
    """Return the best trial of each pair in a row, with the scores of the next ones; settings: of `tables.settings`."""
    columns = [named("task", "task"), named("variant", "variant")]
    columns += [_hyperparameter(name) for name in study.design.space if name in settings]
    columns += [
        named("hidden_size", "width", "d"),
        named("parameters", "parameters", ",d"),
        named("score", "score", ".3f"),
    ]
    columns += [named("solved_step", "steps to solve", ",.0f")]
    columns += [named(place, f"score of the {place}", ".3f") for place in ("second", "third")[: BEST - 1]]
    columns += [named("trials", "best of N", "d")]
    rows = []
    for _, own in settings.groupby(["task", "variant"], sort=False):
        best, *others = own.to_dict("records")
        scores = {place: row["score"] for place, row in zip(("second", "third"), others, strict=False)}
        rows.append(dict(best) | scores)
    return Table.of(columns, rows)


def _hyperparameter(name: str) -> Column:
    """Return a hyperparameter of the best trial, with its range over the best decile in brackets."""

    def shown(row: Row) -> str:
        low, high = (words.two_digits(row[f"{name}_{end}"]) for end in ("low", "high"))
        return f"{words.two_digits(row[name])} ({low}–{high})"

    return Column(name.replace("_", " "), lambda row: float(row[name]), ".3g", shown)


def best_table(best: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of the table of best configurations; best: of `tables.stages`."""
    names = [c for c in best.columns if c not in ("point", "runs", "solved", "lowest", "highest", "median")]
    titles = {"hidden_size": "width", "search_score": "score in the search"}
    rows = []
    for row in best.to_dict("records"):
        shown = {c: f"{row[c]:.3g}" if isinstance(row[c], float) else str(row[c]) for c in names}
        shown["search_score"] = f"{row['search_score']:.3f}"
        spread = f"{row['median']:.2f} ({row['lowest']:.2f}–{row['highest']:.2f})"
        rows.append([*shown.values(), spread, f"{row['solved']} of {row['runs']}"])
    heads = [titles.get(c, c.replace("_", " ")) for c in names]
    return [*heads, "median score, fresh seeds (range)", "solved"], rows


# Two studies
# ----------------------------------------------------------------------------------------------------------------------


def two_studies_table(both: TwoStudies) -> Table:
    """Return each variant in both studies, and its advantage over the baseline, by both questions."""
    columns = [
        named("task", "task"),
        named("variant", "variant"),
        Column("what", lambda row: "its advantage" if row["what"] == ADVANTAGE else "itself"),
        Column("endpoint", _endpoint),
        named("study", both.study, ".2f", lambda row: _value(row, "study")),
        named("other", both.other, ".2f", lambda row: _value(row, "other")),
        named("difference", "difference [95 %]", ".2f", _difference),
        named("p", "p", ".3f", lambda row: words.p_value(row["p"])),
        named("points", "N", "d", lambda row: f"{row['points']} {'paired' if row['paired'] else 'unpaired'}"),
        Column("same outcome", lambda row: row["same_outcome"] / row["pairs"] if row["pairs"] else None, ".0%"),
        named(
            "time",
            "time per step",
            ".2f",
            _time,
        ),
    ]
    return Table.of(columns, both.pairs[both.pairs["primary"]].to_dict("records"))


def _endpoint(row: Row) -> str:
    endpoint = ENDPOINTS[row["endpoint"]]
    return f"{endpoint.title}{', %' if endpoint.unit == '%' else ''}"


def _value(row: Row, name: str) -> str:
    write = words.signed if row["what"] == ADVANTAGE else words.number
    return write(row[name], ENDPOINTS[row["endpoint"]].unit)


def _time(row: Row) -> str:
    return f"{row['time']:.2f} [{row['time_low']:.2f}, {row['time_high']:.2f}]"


def _difference(row: Row) -> str:
    return words.difference(row["difference"], row["low"], row["high"], ENDPOINTS[row["endpoint"]].unit)
