"""Published numbers, and what our studies of the same networks and tasks find: the numbers of `make reproduce`.

This is the only place of the published numbers; `docs/reproductions.md` is written from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from ..statistics.intervals import Floats, bootstrap_interval
from ..study import Study

REPRODUCED, NOT_REPRODUCED, TOO_FEW, NOT_RUN = "reproduced", "not reproduced", "too few seeds", "not run"
RESAMPLES = 10_000

Studies = Mapping[str, Study]


@dataclass(frozen=True)
class Measured:
    """What our runs give.

    value: the estimate; NaN where there is none.
    low, high: ends of its 95 % interval over seeds; NaN where there are fewer than two seeds.
    seeds: how many runs it comes from.
    note: what must be said beside it, such as how many of the runs were solved.
    """

    value: float
    low: float
    high: float
    seeds: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published number or direction, and how our studies measure it.

    title: what was measured, one line.
    source: where it was published.
    value: the published number; where only a direction was published, the 0 of no difference.
    studies: presets of `conf/study` that measure it.
    measure: computes the estimate from these studies, in their order.
    direction: 0 where the published number itself shall lie in our interval; 1 or -1 where our whole interval shall lie
        above or below `value`.
    differs: what of our runs is not as published, or not known to be.
    """

    title: str
    source: str
    value: float
    studies: tuple[str, ...]
    measure: Callable[[Sequence[Study]], Measured] = field(repr=False)
    direction: int = 0
    differs: str = ""

    @property
    def places(self) -> int:
        """Decimal places with which its numbers are shown and compared: none for a count, four for other numbers."""
        return 0 if abs(self.value) >= 1000 else 4

    def verdict(self, found: Measured) -> str:
        """Return whether our interval agrees with what was published, all at the precision of `shown`."""
        if found.seeds < 2:
            return TOO_FEW
        if not np.isfinite([found.value, found.low, found.high]).all():
            return NOT_REPRODUCED
        low, high = round(found.low, self.places), round(found.high, self.places)
        agrees = {0: low <= self.value <= high, 1: low > self.value, -1: high < self.value}[self.direction]
        return REPRODUCED if agrees else NOT_REPRODUCED

    def shown(self, value: float) -> str:
        """Return one of its numbers as text: a count with its thousands, or four decimal places."""
        if not np.isfinite(value):
            return "–"
        return f"{value:,.{self.places}f}"


# How our studies measure
# ---------------------------------------------------------------------------------------------------------------------


def sequences_to_solve(studies: Sequence[Study]) -> Measured:
    """Return the mean number of training sequences until a task was solved.

    studies: one study of one variant on one task, whose points are seeds. A seed that did not solve the task counts
        with the whole budget, so that the mean is too small where the note names such seeds.
    """
    trials = studies[0].trials
    sequences = (trials["solved_step"].fillna(trials["budget"]) * trials["batch_size"]).to_numpy(float)
    spread = "" if not len(sequences) else f"; {sequences.min():,.0f} to {sequences.max():,.0f} sequences"
    solved = f"{trials['solved_step'].notna().sum()} of {len(trials)} seeds solved it"
    return _measured(np.mean, sequences, solved + spread + _unsolved(trials))


def _unsolved(trials: pd.DataFrame) -> str:
    """Return how far the trials came that did not solve their task; nothing where their metrics do not say."""
    unsolved = trials[trials["solved_step"].isna()]
    metrics = [json.loads(text) for text in unsolved.get("test_metrics", pd.Series(dtype=str))]
    known = [m for m in metrics if {"absolute_error", "wrong"} <= m.keys()]
    if not known:
        return ""
    error, wrong = (max(m[name] for m in known) for name in ("absolute_error", "wrong"))
    return f"; unsolved seeds end with a mean absolute error up to {error:.3f} and up to {100 * wrong:.1f} % wrong"


def median_loss(variant: str) -> Callable[[Sequence[Study]], Measured]:
    """Return what measures the median test loss of a variant over seeds, in one study."""

    def measure(studies: Sequence[Study]) -> Measured:
        trials = studies[0].trials
        return _measured(np.median, trials.loc[trials["variant"] == variant, "test_loss"])

    return measure


def order_of_medians(studies: Sequence[Study]) -> Measured:
    """Return Spearman's correlation of published and own median test losses of the ablation; seeds are resampled."""
    trials = studies[0].trials
    losses = trials.pivot_table(index="point", columns="variant", values="test_loss").reindex(columns=list(ABLATION))
    whole = losses.dropna().to_numpy(float)  # [seeds, variants]
    published = rankdata(list(ABLATION.values()))

    def correlation(places: ArrayLike) -> float:
        ours = rankdata(np.median(whole[np.asarray(places, dtype=int)], axis=0))
        return float(np.corrcoef(published, ours)[0, 1])

    return _measured(correlation, np.arange(len(whole)))


def gain(metric: str) -> Callable[[Sequence[Study]], Measured]:
    """Return what measures by how much a metric on the test set is larger in the first of two studies, seed by seed."""

    def measure(studies: Sequence[Study]) -> Measured:
        ours, theirs = (_metric(study.trials, metric) for study in studies)
        both = pd.concat([ours, theirs], axis=1, join="inner").to_numpy(float)
        means = " against ".join(f"{v:.4f}" for v in both.mean(axis=0)) if len(both) else ""
        return _measured(np.mean, both[:, 0] - both[:, 1], means)

    return measure


def _metric(trials: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return a metric of the test set by seed; trials that diverged have none."""
    values = [json.loads(text).get(name, np.nan) for text in trials["test_metrics"]]
    return pd.Series(values, index=trials["seed"].to_list(), dtype=float).dropna()


def _measured(statistic: Callable[[Floats], float], values: ArrayLike, note: str = "") -> Measured:
    """Return a statistic of seeds with its bootstrap interval; diverged seeds make the interval worthless, NaN."""
    sample = np.asarray(values, dtype=float)
    if not len(sample):
        return Measured(np.nan, np.nan, np.nan, 0, note)
    low, high = (np.nan, np.nan)
    if len(sample) > 1:
        low, high = bootstrap_interval(statistic, sample, resamples=RESAMPLES)
    return Measured(float(statistic(sample)), low, high, len(sample), note)


# What was published
# ---------------------------------------------------------------------------------------------------------------------

HOCHREITER = "Hochreiter & Schmidhuber 1997, “Long Short-Term Memory”"
TALLEC = "Tallec & Ollivier 2018, “Can recurrent neural networks warp time?”"
PUBLIC = "a public ablation of eight LSTMs on the adding problem, three seeds"

ABLATION = {
    "cifg": 0.0010,
    "niaf": 0.0021,
    "v": 0.0033,
    "np": 0.0034,
    "nfg": 0.0036,
    "noaf": 0.0050,
    "nog": 0.0069,
    "nig": 0.0115,
}
"""Published median test error of each variant of the ablation, by its label in the preset, the best first."""

OF_1997 = (
    "As published: architecture, number of weights, squashing functions, truncated gradient, initialisation, biases of "
    "the input gates, rate, stop on the 2000 most recent training sequences. Assumed: the order of updates within a "
    "time step (hidden layer, then outputs, both of the same step), and that the average error is the absolute one. "
    "The published number is a mean over runs whose spread is not given here."
)
OF_THE_ABLATION = (
    "Three seeds there, so that the published median is itself uncertain. Not known of it: initialisation, forget bias "
    "(ours: 1), the exact form of its adding problem, and whether the last or the best network was tested. Ours is the "
    "last one. The best of 15 looks has smaller errors: medians of .0006 to .0033 where the last network has these."
)
OF_CHRONO = (
    "Only the direction is compared. Their copying has longer lags (500 and more), ten symbols of eight, 128 units and "
    "RMSprop, as far as is known here; ours has a lag of 60, three symbols of four, 32 units and Adam."
)


def _ablation(variant: str, value: float) -> Published:
    return Published(
        title=f"adding, T = 50: median test error of {variant.upper()}",
        source=PUBLIC,
        value=value,
        studies=("reproduce_ablation",),
        measure=median_loss(variant),
        differs=OF_THE_ABLATION,
    )


PUBLISHED: tuple[Published, ...] = (
    Published(
        title="adding, T = 100: training sequences until solved, network of 1997",
        source=f"{HOCHREITER}, section 5.4",
        value=74_000,
        studies=("reproduce_adding",),
        measure=sequences_to_solve,
        differs=OF_1997,
    ),
    Published(
        title="temporal order, task 6a: training sequences until solved, network of 1997",
        source=f"{HOCHREITER}, section 5.6",
        value=31_390,
        studies=("reproduce_order",),
        measure=sequences_to_solve,
        differs=OF_1997,
    ),
    *(_ablation(variant, value) for variant, value in ABLATION.items()),
    Published(
        title="adding, T = 50: rank correlation of the eight medians with the published ones (above 0)",
        source=PUBLIC,
        value=0.0,
        studies=("reproduce_ablation",),
        measure=order_of_medians,
        direction=1,
        differs=OF_THE_ABLATION,
    ),
    Published(
        title="copying: recall accuracy with chrono minus with forget bias 1 (above 0)",
        source=TALLEC,
        value=0.0,
        studies=("reproduce_chrono", "reproduce_forget_bias"),
        measure=gain("recall_accuracy"),
        direction=1,
        differs=OF_CHRONO,
    ),
    Published(
        title="copying: test loss with chrono minus with forget bias 1 (below 0)",
        source=TALLEC,
        value=0.0,
        studies=("reproduce_chrono", "reproduce_forget_bias"),
        measure=gain("loss"),
        direction=-1,
        differs=OF_CHRONO,
    ),
)

STUDIES = tuple(dict.fromkeys(name for published in PUBLISHED for name in published.studies))
"""The presets that `make reproduce` runs, in order."""


def reproductions(studies: Studies) -> pd.DataFrame:
    """Hold our studies against everything that was published.

    studies: those that were run, by name; others may be absent.

    Returns one row for each published number: title, source, published, ours, low, high (the 95 % interval over seeds),
    seeds, verdict, note, differs, and the two columns `published_text` and `ours_text` as a page shows them.
    """
    rows = []
    for published in PUBLISHED:
        there = [studies[name] for name in published.studies if name in studies]
        found = Measured(np.nan, np.nan, np.nan, 0)
        verdict = NOT_RUN
        if len(there) == len(published.studies):
            found = published.measure(there)
            verdict = published.verdict(found)
        rows.append(
            {
                "title": published.title,
                "source": published.source,
                "published": published.value,
                "ours": found.value,
                "low": found.low,
                "high": found.high,
                "seeds": found.seeds,
                "verdict": verdict,
                "note": found.note,
                "differs": published.differs,
                "published_text": published_text(published),
                "ours_text": ours_text(published, found),
            }
        )
    return pd.DataFrame(rows)


def published_text(published: Published) -> str:
    """Return what was published as text; a direction is said in words.

    >>> published_text(PUBLISHED[0])
    '74,000'
    """
    directions = {0: published.shown(published.value), 1: "above 0", -1: "below 0"}
    return directions[published.direction]


def ours_text(published: Published, found: Measured) -> str:
    """Return our number with its interval as text."""
    if not found.seeds:
        return "–"
    return f"{published.shown(found.value)} ({published.shown(found.low)} to {published.shown(found.high)})"
