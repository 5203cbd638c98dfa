"""What the stages after a search say, in sentences computed from their tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from runs.arguments import on_record

from .. import words
from ..study import Study
from ..tables.comparisons import SIGNIFICANT
from ..tables.conditions import remembers
from ..tables.stages import ALL, fewest_to_conclude
from ..tables.summary import usable

Tables = Mapping[str, pd.DataFrame]


class Section(NamedTuple):
    """A section of the report about a stage.

    stage: confirm or horizon.
    title: its heading.
    paragraphs: what the stage found; none where it was not run.
    command: the command that runs it; empty where it was run, or where the study does not say how it was run.
    """

    stage: str
    title: str
    paragraphs: list[str]
    command: str


def sections(study: Study, tables: Tables, results: Path | str | None = None) -> list[Section]:
    """Return the two sections of a report about the stages.

    study: the study.
    tables: of `tables.stages.stage_tables`.
    results: the folder in which the study is now; None for the one on record.
    """
    found = []
    for stage, title, run, sentences in (
        ("confirm", "Confirmed with fresh seeds", ("confirmed", "best_configurations"), confirmed_sentences),
        ("horizon", "How far back a variant remembers", ("horizons",), horizon_sentences),
    ):
        if any(name in tables for name in run):
            found.append(Section(stage, title, [*_warnings(study, stage), *sentences(study, tables)], ""))
        elif stage == "horizon" and not any(remembers(study, task) for task in study.tasks):
            found.append(
                Section(stage, title, ["A memory horizon needs a task with a lag and a criterion of success."], "")
            )
        else:
            command = on_record(study.about.get("command"), f"stage={stage}", results=results)
            found.append(Section(stage, title, [], command))
    return found


def _facts(study: Study, stage: str) -> Mapping[str, Any]:
    """Return what is stored of a stage: its knobs, its number of trials, and the points that the search then had."""
    facts: Mapping[str, Any] = (study.about.get("stages") or {}).get(stage, {})
    return facts


def _warnings(study: Study, stage: str) -> list[str]:
    """Return what a reader must know of a stage that is not complete, or older than its search."""
    facts, found = _facts(study, stage), []
    done, points = len(study.stage(stage)), study.design.points
    if done < facts.get("trials", done):
        found.append(f"Not complete: {done} of {facts['trials']} trials of this stage have been run.")
    if facts.get("points", points) < points:
        found.append(
            f"Planned when the search had {facts['points']} points; it has {points} now. "
            f"The same command with stage={stage} plans it again."
        )
    return found


# Confirmation
# ----------------------------------------------------------------------------------------------------------------------


def confirmed_sentences(study: Study, tables: Tables) -> list[str]:
    """Return the paragraphs about replicates: how they were made, one per task, and what may be concluded."""
    if "confirmed" not in tables:
        return []
    found = tables["confirmed"]
    of_tasks, overall = found[found["task"] != ALL], found[found["task"] == ALL]
    replicates, size = int(of_tasks["replicates"].max()), block_size(study)
    compared = of_tasks[of_tasks["p"].notna()]
    variants = int(compared.groupby("task").size().max()) if len(compared) else 0
    fewest = fewest_to_conclude(variants) if variants else 0
    paragraphs = [_opening(replicates, size)]
    if len(overall):
        named = [
            f"{row['variant']} {words.interval(row['iqm'], row['low'], row['high'])}" for row in _sorted(overall, "iqm")
        ]
        paragraphs.append(f"Interquartile mean score over all tasks: {', '.join(named)}.")
    for task, own in of_tasks.groupby("task", sort=False):
        solved = [f"{row['variant']} {row['solved']} of {row['replicates']}" for row in own.to_dict("records")]
        said = f"solved by {', '.join(solved)}"
        if not study.solvable(str(task)):  # scores run from 0 at the floor to 1 at the reference
            scores = [f"{row['variant']} {words.number(row['iqm'])}" for row in own.to_dict("records")]
            said = f"interquartile mean score {', '.join(scores)}"
        conclusions = _conclusions(own[own["p"].notna()], study.baseline) if replicates >= fewest else []
        paragraphs.append(" ".join([f"{task}: {said}.", *conclusions]))
    if replicates < fewest:
        others = _counted(variants, "variant")
        paragraphs.append(
            f"With {_counted(replicates, 'replicate')} nothing is concluded: with {others} beside the baseline, even a "
            f"variant that wins every comparison needs {fewest} replicates to be "
            f"distinguished from luck. That takes {fewest * (size or 5)} points or more."
        )
    elif len(compared):
        paragraphs.append(
            "Probability of improvement: that a replicate scores higher than one of the baseline, ties counted half. A "
            "difference is claimed where the p-value, from label swaps within blocks and Holm-adjusted over the "
            "variants of a task, is at most .05."
        )
    return paragraphs


def _opening(replicates: int, size: int) -> str:
    search = f"a search of {size} trials" if size else "a search"
    return (
        f"The trials were split into blocks, each of them {search}. The best trial of each block was "
        f"trained again with a fresh seed and scored on fresh test data: {_counted(replicates, 'replicate')} of "
        "“search, then train” per task and variant, free of the luck that made them win. All variants share "
        "blocks and seeds. This asks what one such search finds, which is another question than that of the verdicts "
        "on the whole study."
    )


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' if count > 1 else ''}"


def _conclusions(compared: pd.DataFrame, baseline: str | None) -> list[str]:
    """Return what is claimed of the variants on one task."""
    found = []
    claimed = compared["p_holm"] <= SIGNIFICANT
    for word, side in (("better", compared["improvement"] > 0.5), ("worse", compared["improvement"] < 0.5)):
        named = [
            f"{row['variant']}, probability {_improvement(row)}, {words.p_equals(row['p_holm'])}"
            for row in compared[claimed & side].to_dict("records")
        ]
        if named:
            found.append(f"More likely to do {word} than {baseline}: {'; '.join(named)}.")
    rest = [f"{row['variant']} ({_improvement(row)})" for row in compared[~claimed].to_dict("records")]
    if rest:
        found.append(
            f"Not told apart from it by these replicates, with the probability of improvement: {', '.join(rest)}."
        )
    return found


def _improvement(row: Mapping[Any, Any]) -> str:
    return words.interval(row["improvement"], row["improvement_low"], row["improvement_high"])


def block_size(study: Study) -> int:
    """Return the number of points in a block of the stage `confirm`, 0 where the study does not say."""
    from runs.study.stages import Confirm

    facts = _facts(study, "confirm")
    if not facts:
        return 0
    knobs = {name: int(facts["knobs"][name]) for name in ("blocks", "block_size")}
    return len(Confirm(**knobs).partition(int(facts["points"]))[0])


# Horizon
# ----------------------------------------------------------------------------------------------------------------------


def horizon_sentences(study: Study, tables: Tables) -> list[str]:
    """Return the paragraphs about memory horizons: how they were found, then one per task."""
    found, trials = tables["horizons"], usable(tables["horizon_trials"])
    best = _facts(study, "horizon").get("knobs", {}).get("best", 1)
    paragraphs = [
        f"The best {f'{best} ' if best > 1 else ''}configurations of each variant at the study's lag were trained "
        f"again, with at most {trials['budget'].max():,} updates, at lags that double. The memory horizon is the lag "
        "in steps up to which half of the runs solve the task, with its 95 % interval; ≥ and < are bounds where the "
        "lags ended. Configurations were chosen at the study's lag, so that a longer lag may be within reach of "
        "others; horizons are not tested against each other."
    ]
    for task in (t for t in study.tasks if t in set(found["task"])):
        own = trials[trials["task"] == task]
        lags = ", ".join(map(str, sorted(own["lag"].unique())))
        per_lag = own.groupby(["variant", "lag"]).size().max()
        named = [
            f"{row['variant']} {horizon_text(row)}" for row in _sorted(found[found["task"] == task], "log2_horizon")
        ]
        paragraphs.append(f"{task}: {', '.join(named)}; {per_lag} runs at each of the lags {lags}.")
    return paragraphs


def horizon_text(row: Mapping[Any, Any]) -> str:
    """Return the horizon of a row of `tables.stages.horizons` with its interval, or as a bound."""
    return words.horizon(row["log2_horizon"], row["error"], at_least=row["at_least"], at_most=row["at_most"])


def _sorted(table: pd.DataFrame, by: str) -> list[dict[Any, Any]]:
    return table.sort_values(by, ascending=False, kind="stable").to_dict("records")
