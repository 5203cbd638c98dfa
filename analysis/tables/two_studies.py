"""Two studies compared: what differs between their designs, and what became of each variant on each task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runs.study.design import flat

from ..goals import Goal
from ..statistics.best import order_of
from ..statistics.endpoints import Endpoint, endpoints_of
from ..statistics.intervals import Floats, bootstrap_interval
from ..statistics.resampling import Comparison, compare_advantages, compare_groups, compare_pairs
from ..study import Study
from .comparisons import Levels, Measure, inferences, levels_of, matrix, measure_of, values_of

LEAST_SHARED = 0.5  # of the points of the smaller study: from there on the studies are paired on a task
NOT_SETTINGS = ("name", "created", "command", "tracking_uri", "sessions", "variants", "tasks", "baselines")
CHANGE, ADVANTAGE = "variant", "advantage over the baseline"
COLUMNS = [
    *("task", "variant", "what", "endpoint", "question", "primary", "paired", "points", "study", "other"),
    *("difference", "low", "high", "p", "verdict", "significant", "needed", "span", "unit"),
    *("same_numbers", "same_outcome", "pairs", "time", "time_low", "time_high"),
]
Arrays = tuple[Floats, Floats]  # values and orders of trials, each [V, P]


@dataclass(frozen=True)
class TwoStudies:
    """A study and another one.

    study, other: their names.
    baseline: of the study.
    settings: rows (setting, study, other) in which the designs differ.
    pairs: of `changes`.
    """

    study: str
    other: str
    baseline: str | None
    settings: pd.DataFrame
    pairs: pd.DataFrame


def compare_studies(study: Study, other: Study, *, swaps: int = 1999) -> TwoStudies:
    """Compare two studies where they have a task and a variant of the same name.

    study, other: the studies; differences are study minus other.
    swaps: number of label swaps.

    Raises ValueError where one of them is a search, or where they have nothing in common.
    """
    refuse_incomparable(study, other)
    name = other.name if other.name != study.name else f"{other.name} (other)"
    pairs = changes(study, other, swaps=swaps)
    return TwoStudies(study.name, name, study.baseline, differing(study, other), pairs)


def refuse_incomparable(study: Study, other: Study) -> None:
    """Raise ValueError where one of two studies is a search, or where they have no task or no variant in common."""
    for one in (study, other):
        if not one.comparable:
            raise ValueError(
                f"compare: study {one.name!r} is a search (sampler={one.design.sampler}, pruner={one.design.pruner}): "
                "its variants did not get the same trials"
            )
    _in_common(study, other)


# Designs
# ----------------------------------------------------------------------------------------------------------------------


def differing(study: Study, other: Study) -> pd.DataFrame:
    """Return rows (setting, study, other) of everything that differs between two designs.

    What is stored with the trials counts too, such as versions, and the engine that the trials name.
    """
    ours, theirs = _settings(study), _settings(other)
    rows = [
        {"setting": key, "study": ours.get(key, "–"), "other": theirs.get(key, "–")}
        for key in dict.fromkeys([*ours, *theirs])
        if ours.get(key) != theirs.get(key)
    ]
    return pd.DataFrame(rows, columns=["setting", "study", "other"])


def _settings(study: Study) -> dict[str, str]:
    """Return the settings of a study as they are written."""
    found: dict[str, str] = {}
    for axis, order in (("task", study.tasks), ("variant", study.variants)):
        found[f"{axis}s"] = ", ".join(order)
        nodes = study.design.tasks if axis == "task" else study.design.variants
        found |= {f"{axis} {key}": value for key, value in _written(nodes).items() if not key.endswith(".label")}
    for key, node in {**study.design.as_dict(), **study.about}.items():
        if key == "space":
            found |= {f"space {name}": _range(study, name) for name in node}
        elif key not in NOT_SETTINGS:
            found |= _written({key: node})
    return found | {"engine that ran": ", ".join(sorted(set(study.table["engine"]) - {""}))}


def _written(node: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of nested mappings as text, by their keys joined by dots."""
    values = {key: value for key, value in flat(node).items() if value != {}}
    return {key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in values.items()}


def _range(study: Study, name: str) -> str:
    range_ = study.design.space[name]
    kinds = f"{', log' if range_.log else ''}{', as 1 - x' if range_.complement else ''}"
    return f"{range_.low:g} to {range_.high:g}{kinds}"


# Outcomes
# ----------------------------------------------------------------------------------------------------------------------


class _Common(NamedTuple):
    """The trials of a task that two studies compare.

    ours, theirs: trials, at the points of both where they are paired, then with the points of ours.
    variants: that both have.
    points: in each study, in the order of columns.
    paired: whether the studies have the same points.
    budget: training steps that both studies allowed.
    goal: of the task, that of our study.
    """

    ours: pd.DataFrame
    theirs: pd.DataFrame
    variants: list[str]
    points: tuple[list[int], list[int]]
    paired: bool
    budget: float
    goal: Goal

    @property
    def endpoints(self) -> list[Endpoint]:
        """What the studies are compared by."""
        return endpoints_of(solvable=self.goal.solvable)

    def measure(self, endpoint: Endpoint) -> Measure:
        """Return how an endpoint is measured."""
        return measure_of(endpoint, self.goal, self.budget)

    def arrays(self, endpoint: Endpoint) -> tuple[Arrays, Arrays]:
        """Return values and orders of both studies, [V, P] and [V, Q]; steps end at the smaller budget."""
        both = zip((self.ours, self.theirs), self.points, strict=True)
        ours, theirs = (self._arrays(endpoint, own, points) for own, points in both)
        return ours, theirs

    def _arrays(self, endpoint: Endpoint, own: pd.DataFrame, points: list[int]) -> Arrays:
        values = values_of(own.assign(budget=own["budget"].clip(upper=self.budget)), endpoint.column, self.goal)
        return matrix(own, values, self.variants, points), matrix(own, own["order"], self.variants, points)

    def levels(self) -> list[list[Levels]]:
        """Return the endpoints of each variant in each study, [2][V]."""
        arrays = {endpoint.name: self.arrays(endpoint) for endpoint in self.endpoints}
        found = []
        for side, (_, order) in enumerate(next(iter(arrays.values()))):
            values = {name: of[side][0] for name, of in arrays.items()}
            found.append([levels_of(values, order, v, self.goal) for v in range(len(self.variants))])
        return found


def changes(study: Study, other: Study, *, swaps: int = 1999, seed: int = 0) -> pd.DataFrame:
    """Return one row per common task, endpoint and variant, for the variant and for its advantage over the baseline.

    study, other: the studies. The baseline is that of `study`.
    swaps: number of label swaps.
    seed: of the swaps.

    Columns:
    what: the variant itself, or its advantage over the baseline, whose difference is a difference in differences.
    paired: whether the two are paired, which they are where at least half of the points of the smaller study are points
    of the other, the same place in the unit cube. Then the difference is over these points, else over all trials.
    points: on which the difference rests, of the smaller side.
    study, other: the statistic of each over those points. difference: study minus other.
    low, high: simultaneous 95 % confidence intervals over the variants of a task, NaN below 10 points.
    p: adjusted over the variants of a task, by exchanging the studies point by point where they are paired, else by
    assigning the trials to the studies at random; at most .05 exactly where the interval excludes zero.
    question, primary, verdict, significant, needed: as in `comparisons.comparisons`, where every side of a difference
    counts for "nothing learned" and "everything solved".
    same_numbers, same_outcome: of `pairs` trials at the same point, how many gave equal losses to the last bit, and how
    many were solved in both studies or in neither.
    time: seconds per training step, study over other (geometric mean), with its interval, which is not simultaneous.

    Raises ValueError where the studies have no task or no variant in common.
    """
    tasks, variants = _in_common(study, other)
    rows: list[dict[str, Any]] = []
    for task in tasks:
        ours, theirs = (one.trials[one.trials["task"] == task] for one in (study, other))
        by_steps = all(one.design.training.stop_when_solved for one in (study, other))
        common = _common(*_ordered_together(ours, theirs, by_steps), variants, study.goals[task])
        facts = {v: _facts(common, v, seed) for v in common.variants}
        levels = common.levels()
        for endpoint in common.endpoints:
            for what, names, sides, found in _compared(common, endpoint, study.baseline, swaps, seed):
                known = [_levels(levels, common.variants, name, study.baseline, what) for name in names]
                inferred = inferences(found, endpoint, common.measure(endpoint), known, 1 if what == CHANGE else 2)
                for k, (variant, row) in enumerate(zip(names, inferred, strict=True)):
                    values = _statistics(endpoint, sides, k, paired=common.paired)
                    shown = {"variant": variant, "what": what, "study": values[0], "other": values[1]}
                    rows.append({"task": task, "paired": common.paired, **shown, **row, **facts[variant]})
    if not rows:
        raise ValueError("compare: the studies have no variant in common on any task")
    return pd.DataFrame(rows, columns=COLUMNS)


def _in_common(study: Study, other: Study) -> tuple[list[str], list[str]]:
    """Return the tasks and the variants that have usable trials in both studies."""
    found = []
    for axis, ours, theirs in (("task", study.tasks, other.tasks), ("variant", study.variants, other.variants)):
        common = [name for name in ours if name in set(study.trials[axis]) & set(other.trials[axis])]
        if not common:
            mine, yours = ", ".join(ours), ", ".join(theirs)
            raise ValueError(f"compare: the studies have no {axis} in common: {mine} here, {yours} there")
        found.append(common)
    return found[0], found[1]


def _ordered_together(ours: pd.DataFrame, theirs: pd.DataFrame, by_steps: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the trials of both studies with one order over all of them; by_steps: see `order_of`."""
    both = pd.concat([ours[["solved_step", "validation_loss"]], theirs[["solved_step", "validation_loss"]]])
    order = order_of(both["solved_step"], both["validation_loss"], by_steps)
    return ours.assign(order=order[: len(ours)]), theirs.assign(order=order[len(ours) :])


def _common(ours: pd.DataFrame, theirs: pd.DataFrame, variants: Sequence[str], goal: Goal) -> _Common:
    """Return what two studies have in common on a task."""
    present = [v for v in variants if (ours["variant"] == v).any() and (theirs["variant"] == v).any()]
    shared = _shared_points(ours, theirs)
    paired = len(shared) >= LEAST_SHARED * min(ours["point"].nunique(), theirs["point"].nunique())
    if paired:
        ours = ours[ours["point"].isin(shared)]
        theirs = theirs[theirs["point"].isin(shared.values())]
        theirs = theirs.assign(point=theirs["point"].map({there: here for here, there in shared.items()}))
        both = sorted(set(ours["point"]) | set(theirs["point"]))
        points = (both, both)
    else:
        points = (sorted(set(ours["point"])), sorted(set(theirs["point"])))
    return _Common(ours, theirs, present, points, paired, min(ours["budget"].max(), theirs["budget"].max()), goal)


def _shared_points(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[int, int]:
    """Return points of ours that are points of theirs, by their place in the unit cube."""
    names = [c for c in ours if str(c).startswith("u_")]
    if not names or set(names) != {c for c in theirs if str(c).startswith("u_")}:
        return {}
    places = [
        {tuple(row[:-1]): int(row[-1]) for row in trials[[*names, "point"]].itertuples(index=False)}
        for trials in (ours, theirs)
    ]
    return {point: places[1][u] for u, point in places[0].items() if u in places[1]}


Side = Sequence[Arrays]  # of one study: the variants, or the variants and their baselines


def _levels(
    levels: Sequence[Sequence[Levels]], variants: Sequence[str], name: str, baseline: str | None, what: str
) -> list[Levels]:
    """Return the endpoints of all sides of a difference: the variant in both studies, and the baseline's too."""
    names = [name] if what == CHANGE else [name, str(baseline)]
    return [of_study[variants.index(one)] for of_study in levels for one in names]


def _compared(
    common: _Common, endpoint: Endpoint, baseline: str | None, swaps: int, seed: int
) -> Iterator[tuple[str, list[str], tuple[Side, Side], Comparison]]:
    """Both kinds of differences of a task and endpoint: what, the variants, the two sides, and the comparison."""
    ours, theirs = common.arrays(endpoint)
    span, weights = common.measure(endpoint).span, endpoint.weights
    compare = compare_pairs if common.paired else compare_groups
    found = compare(weights, ours, theirs, span=span, swaps=swaps, seed=seed)
    yield CHANGE, common.variants, ([ours], [theirs]), found
    others = [k for k, v in enumerate(common.variants) if v != baseline]
    if baseline not in common.variants or not others:
        return
    at = [common.variants.index(baseline)] * len(others)
    first, second = (((x[others], y[others]), (x[at], y[at])) for x, y in (ours, theirs))
    found = compare_advantages(weights, first, second, paired=common.paired, span=span, swaps=swaps, seed=seed)
    yield ADVANTAGE, [common.variants[k] for k in others], (first, second), found


def _statistics(endpoint: Endpoint, sides: tuple[Side, Side], k: int, *, paired: bool) -> tuple[float, float]:
    """Return the statistic of variant k in each study, or its advantage, over the trials that are compared."""
    here = [np.logical_and.reduce([np.isfinite(values[k]) for values, _ in side]) for side in sides]
    if paired:
        here = [here[0] & here[1]] * 2
    found = []
    for side, mask in zip(sides, here, strict=True):
        if not mask.any():
            found.append(np.nan)
            continue
        own, *baseline = (endpoint.statistic(values[k, mask], losses[k, mask]) for values, losses in side)
        found.append(own - sum(baseline))
    return found[0], found[1]


@dataclass(frozen=True)
class _Facts:
    """What is the same in both studies of the trials of one variant, and the ratio of their times per step."""

    same_numbers: int
    same_outcome: int
    pairs: int
    time: float
    time_low: float
    time_high: float


def _facts(common: _Common, variant: str, seed: int) -> dict[str, Any]:
    ours, theirs = (
        trials[trials["variant"] == variant].assign(time=_log_time) for trials in (common.ours, common.theirs)
    )
    if common.paired:
        both = ours.merge(theirs, on="point", suffixes=("", "_b"))
        losses = ("validation_loss", "test_loss", "solved_step")
        equal = [(both[c] == both[f"{c}_b"]) | (both[c].isna() & both[f"{c}_b"].isna()) for c in losses]
        outcome = (both["status"] == "solved") == (both["status_b"] == "solved")
        numbers = int(np.logical_and.reduce(equal).sum())
        ratio = _ratio([both["time"] - both["time_b"]], seed)
        return asdict(_Facts(numbers, int(outcome.sum()), len(both), *ratio))
    return asdict(_Facts(0, 0, 0, *_ratio([ours["time"], theirs["time"]], seed)))


def _log_time(trials: pd.DataFrame) -> pd.Series[float]:
    """Return the logarithm of the seconds per training step."""
    ratios = trials["seconds"].clip(lower=1e-9) / trials["steps"].clip(lower=1)
    return pd.Series(np.log(ratios.to_numpy(dtype=float)), index=trials.index)


def _ratio(logarithms: Sequence[pd.Series[float]], seed: int) -> tuple[float, float, float]:
    """Return the factor between times and its interval, from logarithms of ratios or from those of both sides."""
    samples: list[Floats] = [np.asarray(x, dtype=np.float64) for x in logarithms]
    if min(len(x) for x in samples) == 0:
        return np.nan, np.nan, np.nan

    def difference(ours: Floats, *theirs: Floats) -> float:
        return float(ours.mean()) - sum(float(x.mean()) for x in theirs)

    low, high = bootstrap_interval(difference, *samples, resamples=500, seed=seed)
    return float(np.exp(difference(*samples))), float(np.exp(low)), float(np.exp(high))
