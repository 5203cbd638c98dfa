"""Which figures a report holds, in what order, and what is written under them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from runs.arguments import command
from runs.names import file_name

from ..tables.summary import order
from . import plots, plots_anova, plots_beside, plots_cells, plots_stages, style
from .pieces import MOST_CURVES

Design = Mapping[str, Any]
FEW_FIGURES = 20  # that one process draws faster than others start


@dataclass(frozen=True)
class Spec:
    """One figure of the report.

    name: of its files. draw: from table and design, and the tables named in `needs`. caption: what it shows and how to
    read it.
    instead: whether the needed table stands in the place of the trials.
    command: module that makes the needed tables where `analysis` does not, for the line that stands in the place of the
    figure.
    rows: height in units of variants or panels for V variants and T tasks; the figure is drawn task by task where it
    exceeds `most`.
    """

    name: str
    title: str
    draw: Callable[..., plots.Drawn]
    caption: str
    rows: Callable[[int, int], int] = lambda variants, tasks: 0
    most: int = 38
    needs: tuple[str, ...] = ()
    instead: bool = False
    command: str = ""


@dataclass(frozen=True)
class Shown:
    """A figure that has been drawn and saved. group: name of its spec.

    task: of one that is drawn task by task, else empty.
    """

    name: str
    group: str
    title: str
    task: str
    caption: str
    files: list[Path]
    width: float  # inches

    def file(self, suffix: str) -> Path:
        """The file of a format: svg, pdf, png or csv."""
        return next(path for path in self.files if path.suffix == f".{suffix}")


def _curves(variants: int, tasks: int) -> int:
    return tasks if variants <= MOST_CURVES else 99


def _rows(variants: int, tasks: int) -> int:
    return tasks * (variants + 3)


BESIDE = "beside"  # stands in its own section of the report

FIGURES: list[Spec] = [
    Spec(
        BESIDE,
        "This study and the other",
        plots_beside.beside,
        "Left the value of each variant in the endpoint that the share of solved trials, pooled over both studies, chooses: hollow in the "
        "other study, filled in this one. Right the difference, this study minus the other, over the points that both have where they are "
        "paired, else over all trials; in grey the change of the variant's lead over the baseline. Lines: 95 % intervals that hold for all "
        "variants of a task together; filled marks: significant. Without lines there are too few points for inference.",
        _rows,
        38,
        (BESIDE,),
    ),
    Spec(
        "forest",
        "Differences to the baseline",
        plots.forest,
        "Difference between each variant and the baseline in the endpoint that the share of solved trials chooses for the task "
        "(solve rate between 5 and 95 %, above it steps to solve, below it the score of the best decile), over the points that both "
        "have. Lines: 95 % intervals that hold for all variants of a task together. Filled marks: the interval excludes zero and "
        "the label-swap p-value, Holm-adjusted over the variants, is at most .05. Greff's p: Welch's test on the test losses of the "
        "best deciles, unadjusted; it marks equal variants far too often. Without lines the study has too few points for "
        "inference.",
        _rows,
        38,
        ("comparisons",),
    ),
    Spec(
        "boxes",
        "Test loss of all trials and of the best decile",
        plots.boxes,
        "Left every trial, right the best decile by validation loss. Boxes: quartiles, with the median as a line and the range as "
        "whiskers; diamonds: geometric means. Dots are trials: filled if solved, hollow if not, crosses if diverged; trials that "
        "diverged before any loss was measured stand at “no loss” and count as worse than all others. Grey bars and the numbers "
        "beside them: mean number of parameters in the best decile. After figure 3 of Greff et al. 2017.",
        _rows,
    ),
    Spec(
        "expected_best_trials",
        "Expected best against the number of trials",
        partial(plots.expected_best, budget="trials"),
        "The test score that a random search of n trials can expect when it keeps the trial with the lowest validation loss: an "
        "unbiased estimate over all subsets of n trials, drawn to a tenth of the trials (at least five). Bands: 95 % of bootstrap "
        "resamples, each curve by itself; overlapping bands do not mean equal variants.",
        _curves,
        6,
    ),
    Spec(
        "expected_best_seconds",
        "Expected best against time",
        partial(plots.expected_best, budget="seconds"),
        "The same against the time that the search takes: n times the mean seconds per trial of that variant, on the machine and "
        "engine of the study.",
        _curves,
        6,
    ),
    Spec(
        "solve_curves",
        "Share of trials that have solved the task",
        plots.solve_curves,
        "A trial counts from the first of the consecutive evaluations within the task's criterion. Diverged trials stay in the "
        "denominator. Bands: Wilson, 95 %, pointwise; they need ten trials.",
        _curves,
        6,
    ),
    Spec(
        "performance_profiles",
        "Performance profiles",
        plots.performance_profiles,
        "The share of all trials whose test score is at least τ: how a variant fares when its hyperparameters are drawn at random. "
        "Higher is better everywhere; where two curves cross, neither dominates. Bands: Wilson, 95 %, pointwise; they need ten "
        "trials.",
        _curves,
        6,
    ),
    Spec(
        "heat_map",
        "Variants and tasks at a glance",
        plots.heat_map,
        "Left the share of trials that solved the task, with solved / N below; right the mean test score of the best decile (0: no "
        "better than the best model without memory, 1: the solved loss), with the number of diverged trials below. A dash marks a "
        "pair without trials.",
    ),
    Spec(
        "memory_horizon",
        "Memory horizon",
        plots_stages.memory_horizon,
        "Share of runs that solve the task at each lag; the diamond marks the lag at which half of them do (Spearman-Kärber "
        "estimate) with its 95 % interval. Triangles, ≥ and <: half of the runs solve even the longest lag tried, or fewer than half the "
        "shortest, and the number is a bound.",
        _rows,
        needs=("horizon_trials",),
        instead=True,
    ),
    Spec(
        "marginals",
        "What each hyperparameter does",
        plots_anova.marginals,
        "Mean score, and seconds of a trial, against one hyperparameter, averaged over all others by a surrogate of the trials. "
        "Bands: two standard errors by jackknife (scores). With more than six variants each has a row, with the others in grey. "
        "After figure 4 of Greff et al. 2017.",
        _curves,
        2,
        ("marginals",),
    ),
    Spec(
        "shares",
        "Which hyperparameters matter",
        plots_anova.shares,
        "Share of the variance of the score over the search space that each hyperparameter explains alone, that all pairs add, and "
        "that is left. R²: how well the surrogate predicts trials it has not seen (5-fold cross-validation); bars are pale below "
        ".2, where there is too little to take apart. After figure 5 of Greff et al. 2017.",
        _rows,
        38,
        ("shares",),
    ),
    Spec(
        "pairs",
        "Pairs of hyperparameters",
        plots_anova.pairs,
        "For the baseline. Below the diagonal the mean score over two hyperparameters, averaged over the others, from 0 (dark) to 1 "
        "(bright); on it the marginal curves; above it the share of variance that only the two together explain, ± standard error. "
        "After figure 6 of Greff et al. 2017.",
        lambda v, t: t,
        1,
        ("marginals", "shares", "surfaces"),
    ),
    Spec(
        "hyperparameters",
        "Is the search space wide enough?",
        plots.hyperparameters,
        "Score of every trial (grey) against each hyperparameter, with the best decile of each variant marked. Shaded: the outer "
        "tenths of the range and the share of the best trials that lie there. Far more than 10 % at an edge says that better values "
        "may lie outside. The size is the baseline's width with the same number of parameters.",
        lambda v, t: t,
        4,
    ),
    Spec(
        "learning_curves",
        "Learning curves",
        plots.learning_curves,
        "Validation loss: median over trials, with a band between the quartiles. Trials that stopped keep their last loss; after "
        "divergence a trial counts as infinite. Dotted lines: the loss of the best model without memory, and the loss at which the "
        "score reaches 1 (a task whose criterion is an accuracy can be solved above it). Bands need five trials. With more than six "
        "variants each has a panel, showing the best decile, with the others in grey.",
        _curves,
        3,
    ),
    Spec(
        "trade_off",
        "Score against parameters and time",
        plots.trade_off,
        "Every trial; the line is the Pareto front over all variants, through the outlined trials that no cheaper trial equals "
        "(above a score of .05). The front is chosen by the test score itself and therefore flatters its trials.",
        lambda v, t: t,
        4,
    ),
    Spec(
        "gradients",
        "How far back the gradient reaches",
        plots_cells.gradients,
        "The best trial of each variant by validation loss: norm of the gradient of the last answer's loss by the state (all its "
        "fields, units and layers) that was carried k steps before that answer, before and after training, relative to k = 1. Mean "
        "over 32 test sequences. A line that falls says that what happened k steps ago can hardly be learnt from; grey at the foot: "
        "how old the inputs are that decide the answer, the darker the more sequences have one there. *: the network is not the one of "
        "the study's table, since it was trained again by other code or elsewhere, or the study has been extended since.",
        _curves,
        3,
        ("gradients",),
        command="runs.inside",
    ),
    Spec(
        "activations",
        "Gates and states over one sequence",
        plots_cells.activations,
        "The same trials over the first test sequence: units down, steps across; of several layers the highest. Gates show what "
        "comes out of their squashing function (a pre-activation that nothing squashes as it is), states what is carried on. The "
        "units of a variant stand in the same order in all its maps, by their part in the first principal component of its states; "
        "of more than 64 units every k-th is drawn.",
        lambda v, t: 99,
        1,
        ("sequences",),
        command="runs.inside",
    ),
    Spec(
        "confirmation_scores",
        "Confirmed with fresh seeds",
        plots_stages.confirmation_scores,
        "Left, filled: the winner of each block of the search, trained again with a fresh seed; a count stands beside equal scores of 0 "
        "or 1. Black bars above and bands: their interquartile mean and its 95 % interval by bootstrap (from five replicates on, where "
        "they are not all equal). Hollow: the best "
        "configuration of the whole search with fresh seeds, a description of that configuration and no test of its variant. Right: "
        "the probability that a replicate scores higher than one of the baseline, with 95 % intervals (Newcombe); filled marks: label "
        "swaps within blocks give p ≤ .05, Holm-adjusted over the variants.",
        _rows,
        38,
        ("replicates", "confirmed", "repeats"),
        instead=True,
    ),
    Spec(
        "confirmed_profiles",
        "Performance profiles of the confirmed winners",
        plots.performance_profiles,
        "The share of the replicates of “search, then train” whose score is at least τ. Bands: Wilson, 95 %, pointwise; they need ten "
        "replicates.",
        _curves,
        6,
        ("profiles",),
        instead=True,
    ),
    Spec(
        "winners_curse",
        "What the search promised and what it kept",
        plots_stages.winners_curse,
        "Each mark is the winner of a block of the search: its score in the search, and the score of the same configuration with a "
        "fresh seed. Below the diagonal the search had flattered it. Marks on the same spot are spread around it.",
        lambda v, t: t,
        9,
        ("confirmation",),
    ),
]


def draw_all(
    table: pd.DataFrame,
    design: Design,
    folder: Path,
    extra: Mapping[str, pd.DataFrame] | None = None,
    workers: int = 1,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Shown]:
    """Draw and save every figure into a folder; those too tall for a page task by task.

    extra: tables that some figures need beside the trials, by name, each with a column `task`; a figure whose table is
    absent is left out.
    workers: processes that share the figures. tell: is handed a line on how far it is after each figure.
    """
    from joblib import Parallel, delayed

    extra = extra or {}
    wanted = [spec for spec in FIGURES if all(name in extra for name in spec.needs)]
    jobs = [
        delayed(_draw_and_save)(spec, *part, folder) for spec in wanted for part in parts(spec, table, design, extra)
    ]
    figures = []
    for shown in Parallel(n_jobs=workers if len(jobs) > FEW_FIGURES else 1, return_as="generator")(jobs):
        figures.append(shown)
        tell(f"figures: {len(figures)} of {len(jobs)}")
    return figures


def absent(design: Design, extra: Mapping[str, pd.DataFrame], results: Path | str = "results") -> dict[str, list[str]]:
    """Titles of the figures that are left out, by the command that makes what they need.

    results: the folder that the study is in.
    """
    commands: dict[str, list[str]] = {}
    for spec in FIGURES:
        if spec.command and not all(name in extra for name in spec.needs):
            commands.setdefault(
                command(spec.command, study=str(design.get("name", "...")), results=results), []
            ).append(spec.title)
    return commands


def parts(
    spec: Spec, table: pd.DataFrame, design: Design, extra: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[str | None, tuple[Any, ...]]]:
    """What a figure is drawn from: everything at once (task None), or task by task where it would be too tall."""
    variants, tasks = order(table, design, "variant"), order(table, design, "task")
    apart = len(tasks) > 1 and spec.rows(len(variants), len(tasks)) > spec.most
    for task in tasks if apart else [None]:
        part, *more = (
            t if task is None else t[t["task"] == task] for t in (table, *(extra[name] for name in spec.needs))
        )
        if task is not None and part.empty:
            continue
        facts = design if task is None else {**design, "tasks": [task]}
        yield task, (more[0], facts, *more[1:]) if spec.instead else (part, facts, *more)


def _draw_and_save(spec: Spec, task: str | None, arguments: tuple[Any, ...], folder: Path) -> Shown:
    drawn = spec.draw(*arguments)
    name = spec.name if task is None else f"{spec.name}_{file_name(task)}"
    files = style.save(drawn.figure, folder, name, drawn.data)
    return Shown(name, spec.name, spec.title, task or "", spec.caption, files, float(drawn.figure.get_size_inches()[0]))
