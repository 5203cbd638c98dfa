"""Made-up studies in which all variants are equal, as tidy tables that go the same way as those of real trials.

Letters of shapes: T tasks, V variants, P points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm as normal

from runs.record.rows import COLUMNS, tidy

from ..statistics.intervals import Floats
from ..study import Study

VARIANTS = (
    *("vanilla", "peephole", "coupled", "no_forget_gate", "no_input_gate", "no_output_gate", "no_input_activation"),
    *("no_output_activation", "full_gate_recurrence", "gru", "rnn", "irnn"),
)
"""The baseline and eleven others, as in `study=family`; claims of the literature speak of all of them."""

SHARED = 0.5  # share of the variance of a trial's luck that its point gives to all variants
BUDGET, LOOK = 2000, 50  # updates of a trial, and between two looks
FLOOR, SOLVED_LOSS = 1.0, 0.01
REFERENCE = 0.6  # that the losses of a task without a criterion of success are held against
RUINED = 30.0  # times the floor, at most: the loss of a trial that exploded


@dataclass(frozen=True)
class Truth:
    """What is true of every variant on one task.

    label: of the task.
    rate: probability that a trial solves it.
    best_unsolved: the highest score of an unsolved trial.
    bimodal: whether unsolved trials stay on the floor; else their scores are spread up to `best_unsolved`, most below
        the middle.
    own_optimum: whether each variant has its best points in another place of the search space.
    lag: of the task.
    losses: whether it has no criterion of success, as real data have none; then its losses lie on both sides of the
        floor, the luckiest near the reference.
    ruined: share of its trials, the unluckiest, whose losses are many times the floor.
    """

    label: str
    rate: float
    best_unsolved: float = 1.0
    bimodal: bool = False
    own_optimum: bool = False
    lag: int = 30
    losses: bool = False
    ruined: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """A kind of study in which no variant differs from another.

    name: of the kind.
    tasks: of such a study.
    series: to which all of its tasks belong; empty where they have nothing in common.
    """

    name: str
    tasks: tuple[Truth, ...]
    series: str = ""


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "three tasks",
            (Truth("smooth", 0.38), Truth("bimodal", 0.34, bimodal=True), Truth("own_optimum", 0.34, own_optimum=True)),
        ),
        Scenario("all solve", (Truth("all_solve", 1.0),)),
        Scenario("few solve", (Truth("few_solve", 0.03, best_unsolved=0.8),)),
        Scenario("floor", (Truth("floor", 0.0, best_unsolved=0.04),)),
        Scenario(
            "lags",
            tuple(Truth(f"recall_{lag}", rate, lag=lag) for lag, rate in ((30, 0.8), (60, 0.4), (120, 0.1))),
            series="recall",
        ),
        Scenario(
            "losses",
            (
                Truth("losses", 0.0, losses=True),
                Truth("losses_ruined", 0.0, losses=True, ruined=0.25),
                Truth("losses_own_optimum", 0.0, losses=True, own_optimum=True),
            ),
        ),
    )
}


def made_up(scenario: Scenario, points: int, rng: np.random.Generator) -> Study:
    """Return a study of `VARIANTS` that never ran.

    scenario: what is true of its tasks.
    points: number of trials of each variant on each task.
    rng: of all that is random in it.

    >>> study = made_up(SCENARIOS["all solve"], 10, np.random.default_rng(0))
    >>> len(study.trials), set(study.trials["status"])
    (120, {'solved'})
    """
    template, design = _template(scenario, points)
    lucks = _lucks(scenario, points, rng)
    parts = [_trials(truth, luck, rng) for truth, luck in zip(scenario.tasks, lucks, strict=True)]
    place = tuple(template[axis].to_numpy() for axis in ("number_of_task", "number_of_variant", "point"))
    values = {name: np.array([part[name] for part in parts])[place] for name in parts[0]}
    status = np.where(np.isfinite(values["solved_step"]), "solved", "finished")
    every = template.drop(columns=["number_of_task", "number_of_variant"]).assign(**values, status=status)
    return Study.of(every.astype({"status": "str"}), design)


def _lucks(scenario: Scenario, points: int, rng: np.random.Generator) -> list[Floats]:
    """Return for each task how lucky its trials are, standard normal [V, P]; tasks of a series share half of it."""
    size, series = (len(VARIANTS), points), bool(scenario.series)
    common = _luck(rng, size)
    found = []
    for truth in scenario.tasks:
        fresh = _luck(rng, size, own_optimum=truth.own_optimum)
        found.append((common + fresh) / np.sqrt(2) if series else fresh)
    return found


def _luck(rng: np.random.Generator, size: tuple[int, int], *, own_optimum: bool = False) -> Floats:
    """Return standard normal numbers [V, P], of whose variance the point gives the share `SHARED`.

    own_optimum: whether the place that is best for a variant is another for each, on a circle.
    """
    variants, points = size
    shift = np.arange(variants)[:, None] / variants * own_optimum
    from_optimum = np.abs(2 * ((rng.random(points) + shift) % 1) - 1)  # uniform, for each variant
    of_point = normal.ppf(np.clip(from_optimum, 1e-9, 1 - 1e-9))
    found: Floats = np.sqrt(SHARED) * of_point + np.sqrt(1 - SHARED) * rng.normal(size=size)
    return found


def _trials(truth: Truth, luck: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Return columns of trials [V, P]: the luckiest solve the task, the luckier the sooner."""
    rank = normal.cdf(luck)  # uniform, 1 is the luckiest
    if truth.losses:
        return _losses(truth, rank, rng)
    solved = rank > 1 - truth.rate
    with np.errstate(divide="ignore", invalid="ignore"):
        soon = np.clip((rank - (1 - truth.rate)) / truth.rate, 0, 1)
        near = np.clip(rank / (1 - truth.rate), 0, 1)
    steps = np.clip(BUDGET * (1 - 0.9 * soon), LOOK, BUDGET)
    reached = 0.05 * rng.random(rank.shape) if truth.bimodal else truth.best_unsolved * near**3
    reached = np.where(solved, 1 + 0.2 * rng.random(rank.shape), reached)
    loss = FLOOR * (SOLVED_LOSS / FLOOR) ** reached
    test_loss = loss * np.exp(0.02 * rng.normal(size=rank.shape))
    score = np.clip(np.log(FLOOR / test_loss) / np.log(FLOOR / SOLVED_LOSS), 0, 1)
    return {
        "solved_step": np.where(solved, LOOK * np.ceil(steps / LOOK), np.nan),
        "validation_loss": loss,
        "test_loss": test_loss,
        "score": np.where(solved, 1.0, score),
    }


def _losses(truth: Truth, rank: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Return the same columns on a task without a criterion of success.

    rank: of the luck of each trial, from 0 to 1.
    """
    loss = FLOOR * (REFERENCE + 0.7 * (1 - rank) ** 2)  # three quarters are below the floor
    explosion = FLOOR * np.exp(np.log(RUINED) * rng.random(rank.shape))
    loss = np.where(rank < truth.ruined, explosion, loss)
    test_loss = loss * np.exp(0.02 * rng.normal(size=rank.shape))
    return {
        "solved_step": np.full(rank.shape, np.nan),
        "validation_loss": loss,
        "test_loss": test_loss,
        "score": np.clip((FLOOR - test_loss) / (FLOOR - REFERENCE), 0, 1),
    }


@lru_cache(maxsize=32)
def _template(scenario: Scenario, points: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the table of a study before anything is known of its trials, and the values of its design."""
    empty: dict[str, Any] = {"text": "", "integer": 0, "float": None, "integers": [], "floats": []}
    usual = {column.name: empty[column.kind] for column in COLUMNS}
    usual |= {"study": "made_up", "stage": "search", "engine": "fused", "test_metrics": "{}", "budget": BUDGET}
    usual |= {"floor": FLOOR, "solved_loss": SOLVED_LOSS}
    rows = [
        {
            **usual,
            "task": truth.label,
            "series": scenario.series or truth.label,
            "variant": variant,
            "point": point,
            "lag": truth.lag,
            **({"solved_loss": None, "reference": REFERENCE} if truth.losses else {}),
            "number_of_task": t,
            "number_of_variant": v,
        }
        for t, truth in enumerate(scenario.tasks)
        for v, variant in enumerate(VARIANTS)
        for point in range(points)
    ]
    labels = [truth.label for truth in scenario.tasks]
    design = {
        "name": "made_up",
        "baseline": VARIANTS[0],
        "variants": list(VARIANTS),
        "tasks": labels,
        "levels": {scenario.series: labels} if scenario.series else {},
        "points": points,
        "training": {"budget": BUDGET},
    }
    return tidy(rows), design
