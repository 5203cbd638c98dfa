"""The four conditions under which a study can answer whether a gate matters, and what its cells keep at the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..statistics.intervals import wilson
from ..study import Study
from .comparisons import LEARNED, SOLVED
from .edges import edges

YES, NO, UNKNOWN = "yes", "no", "unknown"
MEMORY = "It needs memory: the control fails at the longest lag."
ROOM = "The baseline solves it at some settings and fails at others, at most lags."
START = "All variants start equal."
INSIDE = "The best settings lie inside the search space."

CONTROL_SOLVES = 0.05  # share of the trials that a control may solve at the longest lag
FEWEST_OF_CONTROL = 20  # trials at which it can be said to fail
RATES = (LEARNED["solve_rate"], SOLVED["solve_rate"])  # between floor and ceiling
FEWEST = 5  # trials of a baseline at a lag, below which nothing is said of its solve rate
MOST_ENDS = 0.5  # share of the ends of ranges at which a notice must be possible, to say that there is none
SAME_START = 1.1  # how many times as long one cell may remember at the start as another, to count as equal

CONDITIONS = ["series", "condition", "holds", "evidence"]
STARTS = ["task", "lag", "variant", "trials", "kept", "kept_low", "kept_high", "over_lag"]


class Solves(NamedTuple):
    """What the control does at the longest lag of a series: its name, task, lag, solved trials and trials."""

    control: str
    task: str
    lag: int
    solved: int
    trials: int

    @property
    def surely(self) -> bool:
        """Whether it surely solves more than 5 %: the lower end of the Wilson interval lies above."""
        return wilson(self.solved, self.trials)[0] > CONTROL_SOLVES

    @property
    def counted(self) -> str:
        """The numbers in words."""
        low, high = wilson(self.solved, self.trials)
        ends = f"95 % interval {words.number(low, '%')} to {words.level(high, '%')}"
        return f"{self.control} solves {self.solved} of {self.trials} trials of {self.task} ({ends})"


def conditions(study: Study, found: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return one row per series (or task that is in none) and condition of the protocol: whether it holds.

    study: the study.
    found: of `tables.edges.edges`; computed where it is not given.

    Columns:
    condition: one of the four sentences above.
    holds: yes, no or unknown.
    evidence: the numbers in words.

    The rules:
    memory: no, where a control surely solves more than 5 % of its trials at the longest lag; yes, where it solves at
        most 5 % of at least 20; else unknown. The control is the plain tanh network.
    room: yes, where the baseline solves between 5 and 95 % at more than half of the lags; unknown below 5 trials.
    start: no, where the time over which the gates of one cell keep its state at the start of training is more than 1.1
        times that of another; cells that never forget and those without a keep gate are not counted.
    A task without a lag or a criterion of success has no row.
    inside: no, where a range has a notice of `tables.edges`; unknown, where there are too few points for one at most
        ends.
    """
    found = edges(study) if found is None else found
    there = {task for task in study.trials["task"].unique() if remembers(study, task)}
    start = _start(study)
    rows = []
    for series, every in study.series.items():
        tasks = {lag: task for lag, task in every.items() if task in there}
        if tasks:
            answers = (_memory(study, tasks), _room(study, tasks), start, _inside(found, tasks))
            rows += [[series, c, *a] for c, a in zip((MEMORY, ROOM, START, INSIDE), answers, strict=True)]
    return pd.DataFrame(rows, columns=CONDITIONS)


def remembers(study: Study, task: str) -> bool:
    """Return whether a task can say that something is remembered: whether it has a lag, and can be solved."""
    return study.solvable(task) and (task not in study.goals or study.goals[task].lag > 0)


def forgetful(study: Study) -> dict[str, Solves]:
    """Return by series what the control does at its longest lag, where it surely solves more than 5 % of its trials."""
    found = {series: at_longest(study, tasks) for series, tasks in study.series.items()}
    return {series: solves for series, solves in found.items() if solves and solves.surely}


def at_longest(study: Study, tasks: Mapping[int, str]) -> Solves | None:
    """Return what the best control does at the longest lag that it has trials at, None without a control.

    tasks: of a series, by lag. The longest lag that has trials of any variant counts; a control without trials there
        says nothing.
    """
    tasks = {lag: task for lag, task in tasks.items() if remembers(study, task)}
    own = study.trials[study.trials["task"].isin(list(tasks.values()))]
    if own.empty:
        return None
    lag = max(lag for lag, task in tasks.items() if (own["task"] == task).any())
    found = []
    for control in study.controls:
        status = own.loc[(own["task"] == tasks[lag]) & (own["variant"] == control), "status"]
        if len(status):
            found.append(Solves(control, tasks[lag], lag, int((status == "solved").sum()), len(status)))
    return max(found, key=lambda s: wilson(s.solved, s.trials)[0], default=None)


def _memory(study: Study, tasks: Mapping[int, str]) -> tuple[str, str]:
    solves = at_longest(study, tasks)
    if solves is None:
        return UNKNOWN, "There is no plain tanh network (rnn) in this study."
    if solves.surely:
        return NO, f"{solves.counted}."
    fails = solves.trials >= FEWEST_OF_CONTROL and solves.solved <= CONTROL_SOLVES * solves.trials
    return (YES if fails else UNKNOWN), f"{solves.counted}."


def _room(study: Study, tasks: Mapping[int, str]) -> tuple[str, str]:
    if study.baseline is None:
        return UNKNOWN, "There is no baseline."
    own = study.trials[study.trials["variant"] == study.baseline]
    status = {lag: own.loc[own["task"] == task, "status"] for lag, task in tasks.items()}
    counts = {lag: (int((one == "solved").sum()), len(one)) for lag, one in status.items()}
    named = [f"{solved} of {trials} at lag {lag}" for lag, (solved, trials) in counts.items()]
    evidence = f"{study.baseline} solves {words.listed(named)}."
    if min(trials for _, trials in counts.values()) < FEWEST:
        return UNKNOWN, evidence
    inside = [RATES[0] <= solved / trials <= RATES[1] for solved, trials in counts.values()]
    return (YES if 2 * sum(inside) > len(inside) else NO), evidence


def _inside(found: pd.DataFrame, tasks: Mapping[int, str]) -> tuple[str, str]:
    own = found[found["task"].isin(list(tasks.values()))]
    noticed = own[own["notice"]]
    if len(noticed):
        places: dict[str, list[str]] = {}
        for row in noticed.to_dict("records"):
            places.setdefault(f"{row['hyperparameter']} at its {row['end']} end", []).append(row["task"])
        named = [f"{place} ({words.listed(on)})" for place, on in places.items()]
        return NO, f"They pile up: {words.listed(named)}."
    if own.empty or own["possible"].mean() < MOST_ENDS:
        return UNKNOWN, "There are too few points, or too few that come off the floor, to tell."
    return YES, "No outer tenth of a range holds more of the best tenth than chance would put there."


# What is kept at the start
# ----------------------------------------------------------------------------------------------------------------------


def starts(study: Study) -> pd.DataFrame:
    """Return one row per task and variant whose trials say what share of its state is kept per step at the start.

    Only points count at which all variants that have trials of the task have one that says it, if there are any: where
    the bias is drawn, medians over other points differ though the variants start equal.

    Columns:
    trials: that count.
    kept: the median over them, from 0 to 1; 1 for a cell that never forgets.
    kept_low, kept_high: the smallest and the largest, which differ where the bias is drawn.
    over_lag: the median share that is left after the lag of the task, `kept` to the power of the lag; NaN without one.
    """
    if "kept" not in study.trials:
        return pd.DataFrame(columns=STARTS)
    known = _at_shared_points(study.trials[study.trials["kept"].notna()])
    rows = []
    for task, variant in study.pairs:
        own = known[(known["task"] == task) & (known["variant"] == variant)]
        if len(own):
            kept, lag = own["kept"], int(own["lag"].iloc[0])
            median = float(kept.median())
            ends = float(kept.min()), float(kept.max())
            over_lag = float(median**lag) if lag > 0 else np.nan
            rows.append([task, lag, variant, len(own), median, *ends, over_lag])
    return pd.DataFrame(rows, columns=STARTS)


def _at_shared_points(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials at points of a task that all its variants have; all of a task where there is no such point."""
    there = trials.groupby(["task", "point"])["variant"].transform("nunique")
    shared = there == trials.groupby("task")["variant"].transform("nunique")
    return trials[shared | ~shared.groupby(trials["task"]).transform("any")]


def per_variant(started: pd.DataFrame) -> dict[str, float]:
    """Return the share that each variant with a keep gate keeps per step at the start: the median over its tasks.

    started: of `starts`. Variants that never forget are left out.
    """
    gated = started[started["kept_low"] < 1]
    return {str(v): float(own["kept"].median()) for v, own in gated.groupby("variant", sort=False)}


def start_ratio(kept: Mapping[str, float]) -> float:
    """Return how many times as long the cell that remembers longest at the start does so as the one that forgets first.

    kept: by variant, the share that is kept per step. The state fades as kept^t = exp(-t / T), so T = -1 / log(kept).

    >>> round(start_ratio({"vanilla": 0.731, "gru": 0.5}), 2)
    2.21
    """
    rates = [-np.log(np.clip(value, 1e-12, 1 - 1e-12)) for value in kept.values()]
    return float(max(rates) / min(rates)) if rates else 1.0


def _start(study: Study) -> tuple[str, str]:
    how: list[Any] = [f"matched by {study.design.match}"]
    scheme = study.design.initialisation.get("label") or study.design.initialisation.get("_target_")
    how += [f"initialisation {scheme}"] if scheme else []
    beside = f"One start for all: {', '.join(how)}."
    kept = per_variant(starts(study))
    if not kept:
        return UNKNOWN, f"What the cells keep at the start is not on record. {beside}"
    named = words.listed([f"{variant} {value:.2f}" for variant, value in kept.items()])
    evidence = f"Kept per step: {named}. {beside}"
    if len(kept) > words.MOST_NAMED:
        (least, first), (most, last) = (end((value, variant) for variant, value in kept.items()) for end in (min, max))
        evidence = f"Kept per step: from {least:.2f} ({first}) to {most:.2f} ({last}). {beside}"
    return (YES if start_ratio(kept) <= SAME_START else NO), evidence
