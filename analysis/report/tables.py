"""The tables of the report: columns with a heading, a value to sort by and a text to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

import numpy as np
import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS
from ..study import Study
from ..tables.baselines import baselines
from ..tables.settings import BEST
from ..tables.two_studies import ADVANTAGE, TwoStudies
from .terms import term_of

Row = Mapping[Any, Any]


class Cell(NamedTuple):
    """One cell of a table.

    value: what the column is sorted by; empty for none.
    shown: the text.
    text: whether it is aligned as text.
    code: the code name of what the text names, where it is another one.
    link: where the text leads to; empty for nowhere.
    """

    value: Any
    shown: str
    text: bool
    code: str = ""
    link: str = ""


class Column(NamedTuple):
    """One column.

    title: its heading.
    value: computes what the column is sorted by from a row.
    form: format of the value; empty for text.
    shown: computes the text from a row, where the format is not enough.
    names: whether its values are code names, beside which stands the name in words.
    link: computes from a row where its text leads to.
    """

    title: str
    value: Callable[[Row], Any]
    form: str = ""
    shown: Callable[[Row], str] | None = None
    names: bool = False
    link: Callable[[Row], str] | None = None

    @property
    def term(self) -> str:
        """What its heading means, for a reader who did not run the study; empty where nothing is known."""
        return term_of(self.title)

    def cell(self, row: Row) -> Cell:
        """Return the cell of a row; a dash where there is no number.

        >>> named("solve_rate", "solve rate", ".0%").cell({"solve_rate": 0.25}).shown
        '25%'
        """
        value = self.value(row)
        if value is None or (isinstance(value, float) and not np.isfinite(value)):
            return Cell("", words.NOTHING, self.form == "")
        if self.names:
            name = words.spoken(str(value))
            return Cell(name, name, text=True, code=str(value) if name != value else "")
        shown = self.shown(row) if self.shown else _plain(value, self.form)
        return Cell(value, shown, self.form == "", link=self.link(row) if self.link else "")


def _plain(value: Any, form: str) -> str:
    return words.powers(format(value, form)) if form else str(value)


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


def called(name: str) -> Column:
    """Return a column of variants, tasks or series, which shows names in words and code names.

    >>> called("variant").cell({"variant": "no_forget_gate"})[1:4]
    ('LSTM without forget gate', True, 'no_forget_gate')
    """
    return Column(name, lambda row: row.get(name), names=True)


# All numbers
# ----------------------------------------------------------------------------------------------------------------------


def solve_rate(row: Row) -> str:
    """Return a solve rate with its confidence interval.

    >>> solve_rate({"solve_rate": 0.25, "solve_low": 0.071, "solve_high": 0.591})
    '25 % (7–59)'
    """
    return f"{100 * row['solve_rate']:.0f} % ({100 * row['solve_low']:.0f}–{100 * row['solve_high']:.0f})"


SUMMARY = [
    called("task"),
    called("variant"),
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


OF_SOLVABLE = ("solved", "solve rate, 95 % interval", "steps to solve", "expected best of 20")


def summary_table(study: Study, *, explorer: bool = False) -> Table:
    """Return the summary of each pair; rows of the baseline stand out.

    Columns that no task of the study has are left out, and those of tasks without a criterion of success are added.

    study: the study.
    explorer: whether the number of trials leads to these trials in the explorer.
    """
    summary = study.summary
    columns = [c._replace(link=_explored) if explorer and c.title == "N" else c for c in SUMMARY]
    columns = [c for c in columns if summary["solvable"].any() or c.title not in OF_SOLVABLE]
    if summary["exploded"].any():
        columns.insert([c.title for c in columns].index("diverged") + 1, named("exploded", "exploded", "d"))
    if not summary["solvable"].all():
        columns = [c for c in columns if c.title != "seconds per trial"] + _of_losses(study)
    rows = [row if row["solvable"] else {**row, "solved": None} for row in summary.to_dict("records")]
    units = {task: goal.unit for task, goal in study.goals.items()}
    rows = [{**row, "unit": units.get(str(row["task"]), "")} for row in rows]
    return Table.of(columns, rows, lambda row: bool(row["variant"] == study.baseline))


def _explored(row: Row) -> str:
    """Return the address of the trials of a pair in the explorer."""
    return f"explorer.html#{urlencode({'task': row['task'], 'variant': row['variant']})}"


def _of_losses(study: Study) -> list[Column]:
    """Return the columns of tasks without a criterion of success, and the seconds after them."""

    def loss(row: Row) -> str:
        return words.number(row["expected_best_20_loss"], row["unit"])

    there = [str(name) for name in study.summary]
    metrics = [name for name in there if name.startswith("decile_") and name not in _USUAL_MEANS]
    columns = [
        named("expected_best_20_loss", "expected loss, best of 20", ".3g", loss),
        named("unit", "unit of the loss"),
    ]
    columns += [
        named(name, f"{name.removeprefix('decile_').replace('_', ' ')}, best decile", ".3g") for name in metrics
    ]
    columns += [named("epochs", "epochs", ".1f")] if "epochs" in study.summary else []
    return [*columns, named("seconds", "seconds per trial", ".3g")]


def baselines_table(study: Study) -> Table:
    """Return what simple models and random networks reach on each task; no rows where none is on record."""
    kinds = {
        "no_input": "sees no input",
        "no_memory": "sees the present input",
        "window": "sees some of the inputs so far",
        "published": "stated by the task",
        "guessing": "is not trained",
    }
    rows = []
    for row in baselines(study).to_dict("records"):
        goal = study.goals.get(row["task"])
        if goal is not None:
            loss = float(goal.shown(row["loss"]))
            rows.append({**row, "loss": loss, "kind": kinds[row["kind"]], "unit": goal.unit or words.NOTHING})
    columns = [called("task"), named("name", "model"), named("kind", "what it is"), named("loss", "loss", ".3g")]
    columns += [
        named("unit", "unit"),
        named("solved", "share that solves it", ".2g", lambda row: f"{100 * row['solved']:.2g} %"),
        named("note", "note"),
    ]
    return Table.of(columns, rows)


_USUAL_MEANS = ("decile_score", "decile_loss", "decile_parameters")


# Recommended settings
# ----------------------------------------------------------------------------------------------------------------------


def settings_table(study: Study, settings: pd.DataFrame) -> Table:
    """Return the best trial of each pair in a row, with the scores of the next ones; settings: of `tables.settings`."""
    columns = [called("task"), called("variant")]
    columns += [_hyperparameter(name) for name in study.design.space if name in settings]
    columns += [named("hidden_size", "width", "d"), named("parameters", "parameters", ",d")]
    columns += _results(study)
    columns += [named("trials", "best of N", "d")]
    rows = []
    for (task, _), own in settings.groupby(["task", "variant"], sort=False):
        best, *others = [_in_unit(study, str(task), row) for row in own.to_dict("records")]
        places = list(zip(("second", "third"), others, strict=False))
        found = {f"{place}_{name}": row[name] for place, row in places for name in ("score", "loss")}
        rows.append(dict(best) | found)
    return Table.of(columns, rows)


def _results(study: Study) -> list[Column]:
    """Return the columns of what the best trials reached: scores of tasks that can be solved, losses of the others."""
    columns: list[Column] = []
    others = ("second", "third")[: BEST - 1]
    if any(map(study.solvable, study.tasks)):
        columns += [named("score", "score", ".3f"), named("solved_step", "steps to solve", ",.0f")]
        columns += [named(f"{place}_score", f"score of the {place}", ".3f") for place in others]
    if not all(map(study.solvable, study.tasks)):
        columns += [named("loss", "test loss", "#.3g"), named("unit", "unit")]
        columns += [named(f"{place}_loss", f"loss of the {place}", "#.3g") for place in others]
    return columns


def _in_unit(study: Study, task: str, row: Row) -> dict[Any, Any]:
    """Return a recommended trial with its test loss in the unit of the task, and no score where none can be solved."""
    if study.solvable(task):
        return {**row, "loss": None, "unit": None}
    goal = study.goals[task]
    return {**row, "score": None, "loss": float(goal.shown(row["test_loss"])), "unit": goal.unit}


def _hyperparameter(name: str) -> Column:
    """Return a hyperparameter of the best trial, with its range over the best decile in brackets."""

    def shown(row: Row) -> str:
        low, high = (words.two_digits(row[f"{name}_{end}"]) for end in ("low", "high"))
        return f"{words.two_digits(row[name])} ({low}–{high})"

    return Column(words.spoken(name), lambda row: float(row[name]), ".3g", shown)


def best_table(best: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of the table of best configurations; best: of `tables.stages`."""
    names = [c for c in best.columns if c not in ("point", "runs", "solved", "lowest", "highest", "median")]
    titles = {"hidden_size": "width", "search_score": "score in the search"}
    rows = []
    for row in best.to_dict("records"):
        shown = {c: f"{row[c]:.3g}" if isinstance(row[c], float) else str(row[c]) for c in names}
        shown |= {c: words.spoken(shown[c]) for c in ("task", "variant") if c in shown}
        shown["search_score"] = f"{row['search_score']:.3f}"
        spread = f"{row['median']:.2f} ({row['lowest']:.2f}–{row['highest']:.2f})"
        rows.append([*shown.values(), spread, f"{row['solved']} of {row['runs']}"])
    heads = [titles.get(c) or words.spoken(c) for c in names]
    return [*heads, "median score, fresh seeds (range)", "solved"], rows


# Two studies
# ----------------------------------------------------------------------------------------------------------------------


def two_studies_table(both: TwoStudies) -> Table:
    """Return each variant in both studies, and its advantage over the baseline, by both questions."""
    columns = [
        called("task"),
        called("variant"),
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
    unit = f", {row['unit']}" if row["unit"] not in ("", "steps") else ""
    return f"{endpoint.title}{unit}"


def _value(row: Row, name: str) -> str:
    write = words.signed if row["what"] == ADVANTAGE else words.number
    return write(row[name], row["unit"])


def _time(row: Row) -> str:
    return f"{row['time']:.2f} [{row['time_low']:.2f}, {row['time_high']:.2f}]"


def _difference(row: Row) -> str:
    return words.difference(row["difference"], row["low"], row["high"], row["unit"])
