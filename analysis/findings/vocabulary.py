"""The words of a page of findings: functions that write a number of a shipped archive as text.

Each takes the name of a study first. Tasks, variants and series have the names that they have in tables; `series` is a
task without its lag. A difference is that of a variant to the baseline of its study, followed by its simultaneous 95 %
interval in brackets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from .. import words
from ..figures.effect_matrix import part_name
from ..statistics.endpoints import EASE
from ..tables.comparisons import OPEN
from ..tables.effects import MAIN, PAIR
from ..tables.lags import MEAN, SLOPE
from .claims import ClaimWords
from .counts import CountWords
from .guards import VERIFIED, one_row, refuse_false
from .markdown import table
from .results import Results, shipped
from .searches import SearchWords, words_in
from .stages import StageWords

LATER = "\0"  # stands for a number that needs resampling, where these are left out
UNIT = "%"
NUMERALS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
Method = TypeVar("Method", bound=Callable[..., str])


def resampled(method: Method) -> Method:
    """Mark a word whose number needs resampling: where the vocabulary is quick it is left out."""

    @wraps(method)
    def inner(self: Vocabulary, *arguments: Any, **named: Any) -> str:
        return LATER if self.quick else method(self, *arguments, **named)

    return cast(Method, inner)


class Vocabulary:
    """The functions that a template may call; every public method is one.

    studies: names of the studies that the page is about, for what is said of all of them.
    read: gives the results of a study by its name; by default those of its shipped archive.
    quick: whether numbers that need resampling are left out, see `LATER`.
    """

    def __init__(
        self, studies: Sequence[str], read: Callable[[str], Results] = shipped, *, quick: bool = False
    ) -> None:
        self._studies = tuple(studies)
        self._read = read
        self.quick = quick
        self.figures: dict[str, tuple[str, list[str], list[str]]] = {}

    def functions(self) -> dict[str, Callable[..., str]]:
        """Return the words by name."""
        later = LATER if self.quick else ""
        others = (
            SearchWords(later),
            StageWords(self._read, later),
            CountWords(self._read),
            ClaimWords(self._studies, self._read, later),
        )
        return {name: word for part in (self, *others) for name, word in words_in(part).items()}

    # What a study is
    # ------------------------------------------------------------------------------------------------------------------

    def trials(self, study: str = "", status: str = "") -> str:
        """Write the number of trials of all stages: of a study or of all, of one status or of any.

        status: solved, finished (and not solved), diverged, exploded, failed.
        """
        tables = [self._read(name).study.every for name in self._named(study)]
        return f"{sum(len(t) if not status else int((t['status'] == status).sum()) for t in tables):,}"

    def variants(self, study: str) -> str:
        """Write the number of variants."""
        return str(len(self._read(study).study.variants))

    def tasks(self, study: str) -> str:
        """Write the number of tasks; a task at several lags counts once."""
        return str(len(self._read(study).study.series))

    def points(self, study: str) -> str:
        """Write the number of points that every pair of a task and a variant has, or the range of these numbers."""
        counts = self._read(study).study.table.groupby(["task", "variant"]).size()
        return " to ".join(str(n) for n in dict.fromkeys((int(counts.min()), int(counts.max()))))

    def planned_points(self, study: str) -> str:
        """Write the number of points that the design asks for."""
        return str(self._read(study).study.design.points)

    def lags(self, study: str, series: str) -> str:
        """Write the lags of a series, such as `30 and 100`."""
        return words.listed([str(lag) for lag in self._series(study, series)])

    def longest(self, study: str, series: str) -> str:
        """Write the longest lag of a series."""
        return str(max(self._series(study, series)))

    def shortest(self, study: str, series: str) -> str:
        """Write the shortest lag of a series."""
        return str(min(self._series(study, series)))

    def hours(self, study: str = "") -> str:
        """Write how many hours the trials of a study, or of all, took together, each in its own process."""
        seconds = sum(float(self._read(name).study.every["seconds"].sum()) for name in self._named(study))
        return f"{seconds / 3600:.1f}"

    def processors(self, study: str) -> str:
        """Write the processors that a study ran on."""
        about = self._read(study).study.about
        sessions = about.get("sessions") or [about]
        return words.listed(list(dict.fromkeys(str(one.get("processor", "unknown")) for one in sessions)))

    def date(self, study: str) -> str:
        """Write the day on which a study began."""
        return str(self._read(study).study.about.get("created", "unknown"))[:10]

    def numeral(self, number: str) -> str:
        """Write a whole number up to twelve in letters, a larger one as it is."""
        return NUMERALS[int(number)] if number.isdecimal() and int(number) < len(NUMERALS) else number

    # Solve rates
    # ------------------------------------------------------------------------------------------------------------------

    def rate(self, study: str, task: str, variant: str) -> str:
        """Write the share of trials that solve a task, such as `53 %`."""
        solved, trials = self._solved(study, task, variant)
        return words.level(solved / trials, UNIT)

    def solved(self, study: str, task: str, variant: str) -> str:
        """Write how many trials solve a task, such as `8 of 15`."""
        return "{} of {}".format(*self._solved(study, task, variant))

    def rate_over_lags(self, study: str, series: str, variant: str) -> str:
        """Write the mean solve rate over the lags of a series."""
        pairs = [self._solved(study, task, variant) for task in self._series(study, series).values()]
        return words.level(float(np.mean([solved / trials for solved, trials in pairs])), UNIT)

    # Differences
    # ------------------------------------------------------------------------------------------------------------------

    @resampled
    def difference(
        self, study: str, task: str, variant: str, endpoint: str = "", *, signed: bool = False, says: str = ""
    ) -> str:
        """Write how a variant differs from the baseline on a task, such as `47 [7, 86] percentage points`.

        endpoint: solve_rate, expected_best_20, best_decile_loss, ...; by default the solve rate, and on a task without
            a criterion of success the test loss of the best decile.
        signed: whether it has a sign; without one the prose around it must say the direction.
        says: the verdict that the prose states: better, worse, same, open, ... A page on which it is another one is
            not written, so that a sentence cannot outlive what it rests on.
        """
        compared = self._read(study).compared
        return self._difference(
            compared[compared["endpoint"] == (endpoint or self._usual(study, task))],
            {"task": task, "variant": variant},
            (signed, says, f"{variant} on {task} in {study}"),
        )

    @resampled
    def over_lags(self, study: str, series: str, variant: str, *, signed: bool = False, says: str = "") -> str:
        """Write how the mean solve rate over the lags of a series differs from the baseline's; see `difference`."""
        return self._lag_effect(study, series, variant, MEAN, (signed, says))

    @resampled
    def per_doubling(self, study: str, series: str, variant: str, *, signed: bool = False, says: str = "") -> str:
        """Write how much more or less of its solve rate a variant loses per doubling of the lag; see `difference`.

        says: `worse` where more is lost.
        """
        return self._lag_effect(study, series, variant, SLOPE, (signed, says))

    @resampled
    def effect(self, study: str, task: str, effect: str, *, signed: bool = False, says: str = "") -> str:
        """Write an effect of a study with factors, in the endpoint of ease; see `difference`.

        effect: as in the design, such as `forget_gate` or `cell:gru-vanilla x network:attention-reader`.
        says: a verdict; `better` where the part helps, or where two help each other.
        """
        place = self._effect(study, task, effect)
        return self._difference(self._read(study).effects, place, (signed, says, f"{effect} on {task} in {study}"))

    @resampled
    def effect_by_other(self, study: str, task: str, pair: str, *, says: str = "") -> str:
        """Write what the first part of a pair is worth at both levels of the second: `+75 and −10 percentage points`.

        pair: as in `effect`, with its verdict `says`.
        """
        row = one_row(self._read(study).effects, self._effect(study, task, pair), study)
        refuse_false(says, str(row["verdict"]), f"{pair} on {task} in {study}")
        unit = str(row["unit"])
        ends = [words.signed(row[name], unit) for name in ("where_plus", "where_minus")]
        return f"{' and '.join(ends)}{words.unit_of(unit).after_difference}"

    @resampled
    def pairs_told_apart(self, study: str) -> str:
        """Write how many pairs of parts are told apart, of all tasks: `4 of 60`. Those that a bound can make count."""
        rows = self._read(study).effects
        pairs = rows[(rows["kind"] == PAIR) & (rows["question"] == EASE)]
        return f"{int(pairs['significant'].sum())} of {len(pairs)}"

    @resampled
    def effects_table(self, study: str) -> str:
        """Write a table of what each part is worth by ease, a column for each task; bold where told apart from 0."""
        rows = self._read(study).effects
        rows = rows[(rows["kind"] == MAIN) & (rows["question"] == EASE)]
        tasks, lines = list(dict.fromkeys(rows["task"])), []
        for effect, own in rows.groupby("effect", sort=False):
            texts = [
                f"**{text}**" if row["significant"] else text
                for row in own.to_dict("records")
                for text in [words.difference(row["difference"], row["low"], row["high"], row["unit"])]
            ]
            lines.append([part_name(str(effect)), *texts])
        return table(["part", *(words.spoken(task) for task in tasks)], lines)

    def verify_effects(self, study: str, says: str, *effects: str, task: str = "") -> str:
        """Write nothing; see `verify`. The verdict must be that of these effects by ease, on a task or on every one."""
        for effect in () if self.quick else effects:
            rows = self._read(study).effects
            own = rows[(rows["effect"] == effect) & (rows["question"] == EASE)]
            own = own[own["task"] == task] if task else own
            for row in own.to_dict("records"):
                refuse_false(says, str(row["verdict"]), f"{effect} on {row['task']} in {study}")
            if own.empty:
                raise ValueError(f"{study}: no effect {effect}")
        return VERIFIED

    def verify(self, study: str, says: str, variant: str, *places: str) -> str:
        """Write nothing; the page is not written if the archive says another thing than the prose around it.

        says: the verdict that the prose states, or several of them: `open|same|everything solved`.
        places: tasks, and series, which stand for the mean over their lags.
        """
        results = self._read(study)
        for place in () if self.quick else places:
            if place in set(results.compared["task"]):
                usual = self._usual(study, place)
                row = one_row(results.compared, {"task": place, "variant": variant, "endpoint": usual}, study)
            else:
                row = one_row(
                    results.by_lag["lag_effects"], {"series": place, "variant": variant, "effect": MEAN}, study
                )
            refuse_false(says, str(row["verdict"]), f"{variant} on {place} in {study}")
        return VERIFIED

    @resampled
    def half_lag(self, study: str, series: str, variant: str) -> str:
        """Write the lag at which half of the solve rate is left, with its interval, such as `110 [90, 133]`."""
        table = self._read(study).by_lag["half_lags"]
        return words.half_lag(one_row(table, {"series": series, "variant": variant}, f"half lag in {study}"))

    @resampled
    def open_at_most(self, study: str, task: str) -> str:
        """Write the largest difference of the solve rate that is still possible where a task tells nothing apart."""
        compared = self._read(study).compared
        rows = compared[(compared["task"] == task) & (compared["endpoint"] == "solve_rate")]
        rows = rows[rows["verdict"] == OPEN]
        return words.amount(float(np.maximum(-rows["low"], rows["high"]).max()), UNIT)

    # Losses
    # ------------------------------------------------------------------------------------------------------------------

    def loss(self, study: str, task: str, variant: str) -> str:
        """Write the mean test loss of the best decile on a task without a criterion of success."""
        return words.number(float(self._cell(study, task, variant)["decile_loss"]), self._unit(study, task))

    def lowest_loss(self, study: str, task: str, variant: str) -> str:
        """Write the test loss of the trial with the lowest validation loss."""
        return words.number(float(self._cell(study, task, variant)["best_loss"]), self._unit(study, task))

    def floor(self, study: str, task: str) -> str:
        """Write the loss of the best model without memory."""
        goal = self._read(study).study.goals[task]
        return words.number(float(goal.shown(goal.floor)), goal.unit)

    def reference(self, study: str, task: str) -> str:
        """Write the loss that a task is held against: a published one, or that of the data's noise."""
        goal = self._read(study).study.goals[task]
        return words.number(float(goal.shown(goal.reference)), goal.unit)

    def status(self, study: str, task: str, variant: str, status: str) -> str:
        """Write how many trials of a variant on a task have a status: diverged, exploded or failed."""
        return str(int(self._cell(study, task, variant)[status]))

    # Tables
    # ------------------------------------------------------------------------------------------------------------------

    def rates_table(self, study: str, *series: str) -> str:
        """Write a table of solve rates, a row for each variant and a column for each task of these series.

        Bold are those that are told apart from the baseline.
        """
        own = self._read(study).study
        tasks = [task for name in series for task in self._series(study, name).values()]
        heads = ["variant", *(f"`{name}` {lag}" for name in series for lag in self._series(study, name))]
        rows = [
            [f"`{variant}`", *(self._rate_in_table(study, task, variant) for task in tasks)] for variant in own.variants
        ]
        return table(heads, rows)

    def losses_table(self, study: str, task: str) -> str:
        """Write a table of test losses, a row for each variant.

        Of the best decile with its difference, and of the trial with the lowest validation loss.
        """
        own = self._read(study).study
        rows = [
            [
                f"`{variant}`: {words.spoken(variant)}",
                self.loss(study, task, variant),
                "" if variant == own.baseline else self.difference(study, task, variant, signed=True),
                self.lowest_loss(study, task, variant),
                self.status(study, task, variant, "exploded"),
            ]
            for variant in own.variants
        ]
        return table(["variant", "best decile", "difference", "best by validation", "exploded"], rows)

    @resampled
    def means_table(self, study: str, *tasks: str) -> str:
        """Write a table of mean test losses over all settings, with the difference to the baseline on each task.

        Bold are those that are told apart from it.
        """
        own, compared = self._read(study).study, self._read(study).compared
        rows = []
        for variant in own.variants:
            cells = []
            for task in tasks:
                found = compared[(compared["task"] == task) & (compared["endpoint"] == "mean_loss")]
                if variant == own.baseline:
                    cells.append(words.number(float(found["reference"].iloc[0]), self._unit(study, task)))
                    continue
                row = one_row(found, {"variant": variant}, study)
                text = words.difference(row["difference"], row["low"], row["high"], row["unit"])
                cells.append(f"**{text}**" if row["significant"] else text)
            rows.append([f"`{variant}`: {words.spoken(variant)}", *cells])
        return table(["variant", *(f"`{task}`" for task in tasks)], rows)

    @resampled
    def half_lags_table(self, study: str) -> str:
        """Write a table of half lags with their intervals, a row for each variant; bold where told apart."""
        found = self._read(study).by_lag["half_lags"]
        series = list(dict.fromkeys(found["series"]))
        rows = []
        for variant in self._read(study).study.variants:
            own = found[found["variant"] == variant].set_index("series")
            cells = [words.half_lag(own.loc[name].to_dict()) if name in own.index else words.NOTHING for name in series]
            bold = [bool(own["significant"].get(name, False)) for name in series]
            rows.append([f"`{variant}`", *(f"**{c}**" if b else c for c, b in zip(cells, bold, strict=True))])
        return table(["variant", *(words.spoken(str(name)) for name in series)], rows)

    # Figures
    # ------------------------------------------------------------------------------------------------------------------

    def figure(self, file: str, study: str, series: Sequence[str], variants: Sequence[str]) -> str:
        """Write the place of a figure of solve rates against the lag, and have it drawn.

        file: its name in `docs/`, without suffix.
        series: its panels. variants: its curves, at most six.
        """
        self.figures[file] = (study, list(series), list(variants))
        names = words.listed([words.spoken(name) for name in series])
        return f"![Share of the trials that solve a task, against the lag: {names}]({{docs}}{file}.png)"

    # ------------------------------------------------------------------------------------------------------------------

    def _named(self, study: str) -> tuple[str, ...]:
        return (study,) if study else self._studies

    def _series(self, study: str, series: str) -> dict[int, str]:
        known = self._read(study).study.series
        if series not in known:
            raise ValueError(f"{study} has no series {series!r}; it has {words.listed(list(known))}")
        return known[series]

    def _solved(self, study: str, task: str, variant: str) -> tuple[int, int]:
        cell = self._cell(study, task, variant)
        return int(cell["solved"]), int(cell["trials"])

    def _cell(self, study: str, task: str, variant: str) -> Mapping[Any, Any]:
        return one_row(self._read(study).study.summary, {"task": task, "variant": variant}, study)

    def _usual(self, study: str, task: str) -> str:
        """Return the endpoint by which a task is judged where a template names none."""
        return "solve_rate" if self._read(study).study.solvable(task) else "best_decile_loss"

    def _unit(self, study: str, task: str) -> str:
        return self._read(study).study.goals[task].unit

    def _rate_in_table(self, study: str, task: str, variant: str) -> str:
        mark = LATER if self.quick else ""
        if not self.quick and variant != self._read(study).study.baseline:
            compared = self._read(study).compared
            rows = compared[compared["endpoint"] == "solve_rate"]
            mark = "**" if one_row(rows, {"task": task, "variant": variant}, study)["significant"] else ""
        return f"{mark}{self.rate(study, task, variant)}{mark}"

    def _lag_effect(self, study: str, series: str, variant: str, effect: str, how: tuple[bool, str]) -> str:
        table = self._read(study).by_lag["lag_effects"].assign(endpoint="solve_rate", unit=UNIT)
        place = {"series": series, "variant": variant}
        return self._difference(table[table["effect"] == effect], place, (*how, f"{variant} on {series} in {study}"))

    def _effect(self, study: str, task: str, effect: str) -> dict[str, str]:
        """Return where the row of an effect by ease stands."""
        endpoint = "solve_rate" if self._read(study).study.solvable(task) else "mean_loss"
        return {"task": task, "effect": effect, "endpoint": endpoint}

    def _difference(self, rows: pd.DataFrame, place: Mapping[str, str], how: tuple[bool, str, str]) -> str:
        signed, says, where = how
        row = one_row(rows, place, where)
        refuse_false(says, str(row["verdict"]), where)
        sign = 1 if signed or row["difference"] >= 0 else -1
        ends = sorted((sign * row["low"], sign * row["high"]))
        unit = str(row["unit"])
        if signed:
            text = words.difference(row["difference"], ends[0], ends[1], unit)
        else:
            text = words.bare(sign * row["difference"], unit)
            if np.isfinite(row["low"]):
                text += f" [{', '.join(_end(end, unit) for end in ends)}]"
        return f"{text}{words.unit_of(unit).after_difference}"


def _end(value: float, unit: str) -> str:
    """Write the end of an interval without its unit, with a minus where it is negative."""
    return words.signed(value, unit).replace("+", "")
