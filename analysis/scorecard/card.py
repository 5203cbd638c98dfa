"""The numbers of a scorecard: how a variant fares on each task of a study, and its place among the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runs.console.known import unknown
from runs.scoring.measured import Measured

from ..statistics.endpoints import ENDPOINTS, SEARCH, Endpoint, mean_weights
from ..statistics.intervals import Floats
from ..statistics.resampling import compare
from ..study import Study
from ..tables.comparisons import FEWEST_FOR_INFERENCE, MARGIN, by_interval, comparisons, matrix, measure_of, values_of
from ..tables.lags import HALF_LAGS, LAG_EFFECTS, lag_tables

OVERALL = ""
"""Stands for the mean over all tasks with a criterion of success, in place of a task."""
EASE, QUALITY = "solve_rate", "expected_best_20"
QUALITY_OF_LOSSES = "best_decile_loss"
SWEPT = ("learning_rate", "keep_bias")
"""Hyperparameters of which the card says how much depends on them."""
PARTS = 3
RESAMPLES = 2000
PLACES = [
    *("task", "series", "lag", "solvable", "unit", "points", "value", "reference", "rank", "rank_low", "rank_high"),
    *("variants", "difference", "low", "high", "verdict", "quality", "quality_reference", "quality_difference"),
    *("quality_low", "quality_high", "quality_verdict", "span"),
]
THIRDS = ["hyperparameter", "variant", "part", "from", "to", "points", "value", "low", "high"]


@dataclass(frozen=True, eq=False)
class Card:
    """The numbers of a scorecard.

    study: the study. variant: its label.
    places: a row per task, see `places`; the first one is the mean over all tasks where several can be solved.
    levels: by task, what the place of each variant on it rests on: its solve rate, or its test loss.
    half_lags, effects: the tables `half_lags` and `lag_effects` of `tables.lags`, with all variants; without rows where
        no task has several lags.
    compared: of `tables.comparisons`, the rows of this variant.
    thirds: see `thirds`.
    measured: speed and gradients; None where they were not measured.
    """

    study: Study
    variant: str
    places: pd.DataFrame
    levels: Mapping[str, Mapping[str, float]]
    half_lags: pd.DataFrame
    effects: pd.DataFrame
    compared: pd.DataFrame
    thirds: pd.DataFrame
    measured: Measured | None

    @property
    def baseline(self) -> str:
        """The variant that the others are compared with."""
        return self.study.baseline or ""

    @property
    def is_baseline(self) -> bool:
        """Whether the card is that of the baseline itself."""
        return self.variant == self.baseline

    @property
    def points(self) -> int:
        """The fewest points that the variant has on a task."""
        return int(self.places["points"].min())

    @property
    def own_half_lags(self) -> list[dict[Any, Any]]:
        """The rows of the half lags of the variant, one per series."""
        return self.half_lags[self.half_lags["variant"] == self.variant].to_dict("records")

    @property
    def swept(self) -> list[str]:
        """The hyperparameters of which the card says how much the variant depends on them."""
        return self.thirds.loc[self.thirds["variant"] == self.variant, "hyperparameter"].unique().tolist()


def card_of(study: Study, variant: str, measured: Measured | None = None) -> Card:
    """Return the scorecard of a variant of a study.

    study: whose trials it rests on.
    variant: label of the study.
    measured: speed and gradients.

    Raises ValueError for a variant without trials in the study, for a study without a baseline, and for one whose
    variants did not get the same trials.
    """
    there = [name for name in study.variants if (study.trials["variant"] == name).any()]
    if variant not in there:
        raise ValueError(unknown("variant", variant, there, f"with trials in study {study.name!r} there is"))
    if not study.comparable:
        raise ValueError(f"study {study.name!r} is a search: its variants did not get the same trials to be compared")
    if study.baseline not in there:
        raise ValueError(f"study {study.name!r} has no trials of a baseline, so there is nothing to compare with")
    compared = comparisons(study)
    lagged = lag_tables(study, compared)
    grounds = place_grounds(study)
    return Card(
        study=study,
        variant=variant,
        places=places(study, variant, compared, grounds),
        levels={task: own.levels for task, own in grounds.items()},
        half_lags=lagged.get("half_lags", pd.DataFrame(columns=HALF_LAGS)),
        effects=lagged.get("lag_effects", pd.DataFrame(columns=LAG_EFFECTS)),
        compared=compared[compared["variant"] == variant],
        thirds=thirds(study, [*dict.fromkeys([study.baseline or "", variant])]),
        measured=measured,
    )


# Places
# ----------------------------------------------------------------------------------------------------------------------


class Ground(NamedTuple):
    """What the places of variants on a task rest on.

    endpoint: that they are ordered by: the solve rate, or the test loss of the best decile on a task without a
        criterion of success.
    span: the range of its values.
    rows, orders: by variant, a number per point, and the order by which the best are chosen; NaN where there is none.
    levels: by variant, the value of the endpoint.
    """

    endpoint: Endpoint
    span: float
    rows: Mapping[str, Floats]
    orders: Mapping[str, Floats]
    levels: Mapping[str, float]

    def samples(self, variants: Sequence[str]) -> tuple[Floats, Floats]:
        """Return values and orders [V, P] of some variants."""
        return np.array([self.rows[v] for v in variants]), np.array([self.orders[v] for v in variants])


def place_grounds(study: Study) -> dict[str, Ground]:
    """Return by task what the places of the variants rest on, for the tasks on which the baseline has trials.

    Where several tasks can be solved, the first entry is their mean, with the variants that have trials on all of them.
    """
    found: dict[str, Ground] = {}
    for task in study.tasks:
        own = study.trials[study.trials["task"] == task]
        if (own["variant"] == study.baseline).any():
            found[task] = _ground(study, task, own)
    solvable = [found[task].rows for task in found if study.solvable(task)]
    if len(solvable) < 2:
        return found
    everywhere = [v for v in study.variants if all(v in rows for rows in solvable)]
    means = {v: np.mean([rows[v] for rows in solvable], axis=0) for v in everywhere}
    whole = {v: row for v, row in means.items() if np.isfinite(row).any()}
    levels = {v: float(np.nanmean(row)) for v, row in whole.items()}
    orders = {v: np.zeros_like(row) for v, row in whole.items()}
    return {OVERALL: Ground(ENDPOINTS[EASE], 1.0, whole, orders, levels), **found}


def _ground(study: Study, task: str, own: pd.DataFrame) -> Ground:
    """Return what the places on one task rest on; own: its trials."""
    points = sorted(set(study.trials["point"]))
    present = [v for v in study.variants if (own["variant"] == v).any()]
    endpoint, goal = ENDPOINTS[EASE if study.solvable(task) else QUALITY_OF_LOSSES], study.goals[task]
    rows = matrix(own, values_of(own, endpoint.column, goal), present, points)
    orders = matrix(own, own["order"], present, points)
    if goal.solvable:
        levels = np.nanmean(rows, axis=1)  # exact, so that equal variants have the same place
    else:
        levels = np.array([endpoint.statistic(row, order) for row, order in zip(rows, orders, strict=True)])
    span = measure_of(endpoint, goal, 1.0).span
    named = (dict(zip(present, found, strict=True)) for found in (rows, orders, levels.tolist()))
    return Ground(endpoint, span, *named)


def places(study: Study, variant: str, compared: pd.DataFrame, grounds: Mapping[str, Ground]) -> pd.DataFrame:
    """Return a row per task on which the variant has trials: its level, its place, how it differs from the baseline.

    study: the study.
    variant: its label.
    compared: of `tables.comparisons`.
    grounds: of `place_grounds`.

    Columns:
    task: a label, or `OVERALL`.
    value, reference: of the variant and the baseline, see `Ground`.
    rank, rank_low, rank_high: place among the variants and its 95 % interval, see `rank_of`.
    difference, low, high, verdict: of the solve rate, see `tables.comparisons`; missing on a task without a criterion.
    quality, ...: the same of the expected best score of 20 trials, or of the test loss of the best decile.
    span: the range of the quality that counts.
    """
    rows: list[dict[str, Any]] = []
    for task, ground in grounds.items():
        if variant not in ground.rows:
            continue
        solvable = task == OVERALL or study.solvable(task)
        row: dict[str, Any] = {
            "task": task,
            "series": "" if task == OVERALL else study.design.series_of(task),
            "lag": 0 if task == OVERALL else study.goals[task].lag,
            "solvable": solvable,
            "unit": "%" if solvable else study.goals[task].unit,
            "points": int(np.isfinite(ground.rows[variant]).sum()),
            "value": ground.levels[variant],
            "reference": ground.levels.get(study.baseline or "", np.nan),
            **rank_of(ground, variant),
        }
        here = compared[(compared["task"] == task) & (compared["variant"] == variant)]
        if task == OVERALL:
            row |= _overall(ground, variant, study.baseline or "")
        else:
            row |= _differences(here, EASE, "") if solvable else {}
            row |= _differences(here, QUALITY if solvable else QUALITY_OF_LOSSES, "quality_")
        rows.append(row)
    return pd.DataFrame(rows, columns=PLACES)


def _differences(here: pd.DataFrame, endpoint: str, prefix: str) -> dict[str, Any]:
    """Return the columns of a difference from the baseline; none for the baseline itself."""
    rows = here[here["endpoint"] == endpoint].to_dict("records")
    if not rows:
        return {}
    row = rows[0]
    named = {f"{prefix}{name}": row[name] for name in ("difference", "low", "high", "verdict")}
    if not prefix:
        return named
    return {**named, "quality": row["value"], "quality_reference": row["reference"], "span": row["span"]}


def _overall(ground: Ground, variant: str, baseline: str) -> dict[str, Any]:
    """Return the difference of the means over all tasks, with an interval that holds for all variants together."""
    others = [v for v in ground.rows if v != baseline]
    if variant not in others or baseline not in ground.rows:
        return {}
    found = compare(mean_weights, *ground.samples([baseline, *others]), span=1.0)
    k = others.index(variant)
    enough = found.points[k] >= FEWEST_FOR_INFERENCE
    low, high = (float(np.clip(end[k], -1, 1)) if enough else np.nan for end in (found.low, found.high))
    difference = float(found.difference[k])
    verdict = by_interval(low, difference, high, MARGIN)
    return {"difference": difference, "low": low, "high": high, "verdict": verdict}


def rank_of(ground: Ground, variant: str) -> dict[str, Any]:
    """Return the place of a variant among those of a task, 1 for the best, with its 95 % interval.

    The interval counts the variants that are better, and those that are worse, by confidence intervals of the
    differences from this variant that hold for all of them together. It is missing below ten points.

    ground: what the places rest on.
    variant: whose place it is.

    Returns rank, rank_low, rank_high, and `variants`, how many there are.

    Source: Mogstad, Romano, Shaikh & Wilhelm 2024, "Inference for Ranks with Applications to Mobility across
    Neighbourhoods and Academic Achievement across Countries".
    """
    sign = -1 if ground.endpoint.lower_is_better else 1
    others = [v for v in ground.levels if v != variant]
    ahead = sum(sign * ground.levels[v] > sign * ground.levels[variant] for v in others)
    found: dict[str, Any] = {"rank": 1 + ahead, "rank_low": np.nan, "rank_high": np.nan, "variants": 1 + len(others)}
    if not others:
        return found
    apart = compare(ground.endpoint.weights, *ground.samples([variant, *others]), span=ground.span)
    enough = apart.points >= FEWEST_FOR_INFERENCE
    if not enough.any():
        return found
    above, below = (apart.low > 0) & enough, (apart.high < 0) & enough
    better, worse = (above, below) if sign > 0 else (below, above)
    # Where variants lack points the place is that of all of them, and the interval of the points that two share.
    low, high = 1 + int(better.sum()), 1 + len(others) - int(worse.sum())
    return found | {"rank_low": min(low, 1 + ahead), "rank_high": max(high, 1 + ahead)}


# Sensitivity
# ----------------------------------------------------------------------------------------------------------------------


def thirds(study: Study, variants: list[str], *, seed: int = 0) -> pd.DataFrame:
    """Return how well variants do in each third of the range of the learning rate and of the keep bias.

    study: the study.
    variants: labels.
    seed: of the resamples.

    All tasks are taken together. Columns:
    part: 0, 1 or 2, from the lowest third. from, to: its ends.
    points: that lie in it, each counted once for all lags of a series.
    value: share of the trials there that solve their task, on tasks without a criterion of success of those whose test
        loss is below that of the best model without memory.
    low, high: 95 % bootstrap interval over the points; NaN below ten points.
    """
    rows: list[dict[str, Any]] = []
    shown = [name for name in SWEPT if f"u_{name}" in study.trials]
    good = _good(study)
    for name in shown:
        dimension = study.design.space[name]
        ends = [float(dimension.value(u)) for u in np.linspace(0, 1, PARTS + 1).clip(0, 1 - 1e-12)]
        part = np.minimum((PARTS * study.trials[f"u_{name}"].to_numpy(dtype=float)).astype(int), PARTS - 1)
        for variant in variants:
            if name == "keep_bias" and "keep_bias" not in study.design.variants.get(variant, {"keep_bias": 0}):
                continue
            for third in range(PARTS):
                chosen = (study.trials["variant"] == variant).to_numpy() & (part == third)
                own = study.trials[chosen].assign(good=good[chosen])
                place = {"hyperparameter": name, "variant": variant, "part": third}
                rows.append({**place, "from": ends[third], "to": ends[third + 1], **_share(study, own, seed)})
    return pd.DataFrame(rows, columns=THIRDS)


def _good(study: Study) -> Floats:
    """Return 1 for each trial that solved its task, or came below the floor of one without a criterion, else 0."""
    trials = study.trials
    solvable = trials["task"].map({task: study.solvable(task) for task in study.tasks}).to_numpy(dtype=bool)
    below = (trials["test_loss"] < trials["floor"]).to_numpy() if "floor" in trials else np.zeros(len(trials), bool)
    return np.where(solvable, (trials["status"] == "solved").to_numpy(), below).astype(float)


def _share(study: Study, own: pd.DataFrame, seed: int) -> dict[str, float]:
    """Return the mean of `good` with its interval; the trials of a point in a series are drawn together."""
    if own.empty:
        return {"points": 0, "value": np.nan, "low": np.nan, "high": np.nan}
    series = own["task"].map(study.design.series_of).rename("of")
    sums = own.groupby([series, "point"])["good"].agg(["sum", "count"]).to_numpy(dtype=float)
    points = len(sums)
    found = {"points": points, "value": float(own["good"].mean()), "low": np.nan, "high": np.nan}
    if points < FEWEST_FOR_INFERENCE:
        return found
    counts = np.random.default_rng(seed).multinomial(points, np.full(points, 1 / points), size=RESAMPLES)
    drawn = counts @ sums
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    if found["value"] in (0.0, 1.0):  # resamples do not vary; the rule of three
        three = min(3 / points, 1.0)
        low, high = (0.0, three) if found["value"] == 0 else (1 - three, 1.0)
    return found | {"low": float(low), "high": float(high)}


def searched(points: int) -> int:
    """Return the number of trials of which the quality after tuning is the expected best."""
    return min(SEARCH, points)
