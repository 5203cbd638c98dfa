"""The stages after a search as tables and sentences: what fresh seeds confirm, and how far variants remember."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from runs.arguments import on_record

from ..load import LISTS, of_stage
from ..statistics import stats
from .summary import baseline_of, order, usable

Design = Mapping[str, Any]
FEWEST_FOR_INTERVAL = 5  # replicates below which they are shown without interval
ALL = "all tasks"


def stage_tables(table: pd.DataFrame, design: Design) -> dict[str, pd.DataFrame]:
    """The tables of the stages that have been run, by name; those of others are absent.

    table: trials of all stages.

    replicates: the trials of block winners run again, and profiles the same where there are five or more of a variant.
    confirmation: their scores beside those of the search. confirmed: see there. repeats: runs of the best
    configurations. best_configurations: see there.
    horizon_trials, horizons: trials at lags that double, and what `horizons` makes of them.
    """
    plain = table.drop(columns=list(LISTS))
    search, confirm, horizon = (of_stage(plain, stage) for stage in ("search", "confirm", "horizon"))
    tables = {}
    replicates, repeats = confirm[confirm["block"] >= 0], confirm[confirm["block"] < 0]
    if len(usable(replicates)):
        tables |= {
            "replicates": replicates,
            "confirmation": confirmation(search, replicates),
            "confirmed": confirmed(replicates, design),
        }
        tables["repeats"] = repeats
        if usable(replicates).groupby(["task", "variant"]).size().max() >= FEWEST_FOR_INTERVAL:
            tables["profiles"] = replicates
    if len(usable(repeats)):
        tables["best_configurations"] = best_configurations(search, repeats, design)
    if len(usable(horizon)):
        tables |= {"horizon_trials": horizon, "horizons": horizons(horizon)}
    return tables


def confirmation(search: pd.DataFrame, replicates: pd.DataFrame) -> pd.DataFrame:
    """One row per (task, variant, block): the point that won it, its score in the search, and its score with a fresh
    seed.
    """
    keys = ["task", "variant", "point"]
    there = search[[*keys, "score", "status"]].rename(columns={"score": "search_score", "status": "search_status"})
    here = usable(replicates)[[*keys, "block", "score", "status"]].rename(
        columns={"score": "fresh_score", "status": "fresh_status"}
    )
    return here.merge(there, on=keys, how="left").sort_values(["task", "variant", "block"], ignore_index=True)


def confirmed(replicates: pd.DataFrame, design: Design) -> pd.DataFrame:
    """What the replicates of "search, then train" say, one row per task and variant, then one per variant over all
    tasks.

    Columns: replicates (N), solved; iqm (interquartile mean of the score) with low and high (bootstrap over the
    replicates of each task; NaN below five, and where all are equal); improvement (probability that a replicate scores
    higher than one of the baseline; over all tasks the mean) with improvement_low and improvement_high; p (labels
    swapped within blocks) and p_holm (adjusted over the variants of a task).
    """
    trials, baseline = usable(replicates), baseline_of(replicates, design)
    wide = {task: own.pivot(index="block", columns="variant", values="score") for task, own in trials.groupby("task")}
    tasks = [t for t in order(trials, design, "task") if t in wide]
    variants = [v for v in order(trials, design, "variant") if v in set(trials["variant"])]
    counts = (
        trials.assign(solved=trials["status"] == "solved").groupby(["task", "variant"])["solved"].agg(["size", "sum"])
    )
    rows = []
    for task in tasks:
        for variant in variants:
            if variant in wide[task]:
                own = wide[task][variant].dropna().to_numpy()
                row = {
                    "task": task,
                    "variant": variant,
                    "replicates": len(own),
                    "solved": int(counts.loc[(task, variant), "sum"]),
                }
                row |= _middle([own])
                if variant != baseline and baseline in wide[task]:
                    row |= _improvement(own, wide[task][baseline].dropna().to_numpy())
                    both = wide[task][[variant, baseline]].dropna()
                    row["p"] = stats.swap_p_of_improvement(both[variant], both[baseline]) if len(both) else np.nan
                rows.append(row)
    columns = [
        "task",
        "variant",
        "replicates",
        "solved",
        "iqm",
        "low",
        "high",
        "improvement",
        "improvement_low",
        "improvement_high",
        "p",
    ]
    table = pd.DataFrame(rows).reindex(columns=columns)
    table["p_holm"] = table.groupby("task")["p"].transform(stats.holm)
    if len(tasks) < 2:
        return table
    everywhere = []
    for variant in variants:
        own = [wide[t][variant].dropna().to_numpy() for t in tasks if variant in wide[t]]
        mine = table[table["variant"] == variant]
        row = {
            "task": ALL,
            "variant": variant,
            "replicates": int(mine["replicates"].sum()),
            "solved": int(mine["solved"].sum()),
        }
        if len(own) == len(tasks):
            everywhere.append(row | _middle(own) | {"improvement": mine["improvement"].mean()})
    return (
        pd.concat([table, pd.DataFrame(everywhere, columns=table.columns)], ignore_index=True) if everywhere else table
    )


def _middle(samples: list[np.ndarray]) -> dict[str, float]:
    """Interquartile mean of all samples together, with its interval."""

    def statistic(*drawn: np.ndarray) -> float:
        return float(stats.interquartile_mean(np.concatenate(drawn)))

    inferred = min(map(len, samples)) >= FEWEST_FOR_INTERVAL and np.ptp(np.concatenate(samples)) > 0
    low, high = stats.bootstrap_interval(statistic, *samples) if inferred else (np.nan, np.nan)
    return {"iqm": statistic(*samples), "low": low, "high": high}


def _improvement(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    if not len(ours) or not len(theirs):
        return {}
    enough = min(len(ours), len(theirs)) >= FEWEST_FOR_INTERVAL
    low, high = stats.improvement_interval(ours, theirs) if enough else (np.nan, np.nan)
    return {
        "improvement": stats.probability_of_improvement(ours, theirs),
        "improvement_low": low,
        "improvement_high": high,
    }


def best_configurations(search: pd.DataFrame, repeats: pd.DataFrame, design: Design) -> pd.DataFrame:
    """One row per (task, variant): the best configuration of the search, its hyperparameters, and what fresh seeds made
    of it.

    Columns: point, the names of the space, hidden_size, search_score, runs, solved, lowest, median and highest score.
    """
    names = [n for n in (design.get("space") or {}) if n in repeats]
    found = []
    for (task, variant), own in usable(repeats).groupby(["task", "variant"]):
        first = own.iloc[0]
        there = search[(search["task"] == task) & (search["variant"] == variant) & (search["point"] == first["point"])]
        row = {"task": task, "variant": variant, **{n: first[n] for n in ("point", *names, "hidden_size")}}
        row["search_score"] = there["score"].iloc[0] if len(there) else np.nan
        row |= {"runs": len(own), "solved": int((own["status"] == "solved").sum())}
        found.append(row | dict(zip(("lowest", "median", "highest"), own["score"].quantile([0, 0.5, 1]), strict=True)))
    place = {
        pair: k
        for k, pair in enumerate(
            (t, v) for t in order(repeats, design, "task") for v in order(repeats, design, "variant")
        )
    }
    return pd.DataFrame(sorted(found, key=lambda row: place[row["task"], row["variant"]]))


def horizons(table: pd.DataFrame) -> pd.DataFrame:
    """One row per (task, variant) of a stage in which lags double: log2_horizon and its standard error in doublings,
    horizon in steps.

    table: trials with columns task, variant, lag, status; a task is the same at all its lags. Lags after a gap are left
    out.

    at_least: half of the runs or more solve the longest lag; at_most: fewer than half solve the shortest; then the
    horizon is that lag, a bound without error. Where every lag is solved by all runs or by none the horizon may lie
    anywhere between two lags, and the error is the standard deviation of that, 12^(-1/2) doublings.
    """
    rows = []
    for (task, variant), own in usable(table).groupby(["task", "variant"]):
        by_lag = (
            own.assign(solved=own["status"] == "solved").groupby("lag")["solved"].agg(["sum", "count"]).sort_index()
        )
        doubling = np.append(True, np.isclose(np.diff(np.log2(by_lag.index.to_numpy(dtype=float))), 1.0))
        by_lag = by_lag[np.logical_and.accumulate(doubling)]
        shares = (by_lag["sum"] / by_lag["count"]).to_numpy()
        log2, error = stats.memory_horizon(by_lag.index, by_lag["sum"], by_lag["count"])
        at_most = bool(shares[0] < 0.5)
        at_least = bool(shares[-1] >= 0.5) and not at_most
        if at_least or at_most:
            log2, error = float(np.log2(by_lag.index[-1 if at_least else 0])), np.nan
        elif set(shares) <= {0.0, 1.0}:
            error = 12**-0.5
        found = {"log2_horizon": log2, "error": error, "horizon": 2**log2, "at_most": at_most, "at_least": at_least}
        rows.append(
            {"task": task, "variant": variant, "runs": int(by_lag["count"].sum()), "lags": len(by_lag), **found}
        )
    columns = ["task", "variant", "runs", "lags", "log2_horizon", "error", "horizon", "at_most", "at_least"]
    return pd.DataFrame(rows, columns=columns)


def horizon_text(row: Mapping[str, Any]) -> str:
    """A horizon with its 95 % interval, or as a bound."""
    if row["at_least"] or row["at_most"]:
        return f"{'≥' if row['at_least'] else '<'} {row['horizon']:,.0f}"
    low, high = (2 ** (row["log2_horizon"] + 1.96 * side * row["error"]) for side in (-1, 1))
    return f"{row['horizon']:,.0f} [{low:,.0f}, {high:,.0f}]"


# Sentences
# ------------------------------------------------------------------------------------------------------------------


def sections(
    table: pd.DataFrame, design: Design, tables: Mapping[str, pd.DataFrame], results: Path | str | None = None
) -> list[dict[str, Any]]:
    """The two sections of a report: title, paragraphs, and for a stage that was not run the command that runs it, else
    empty.

    table: trials of all stages. tables: of `stage_tables`. results: the folder in which the study is now; None for the
    one on record.
    """
    parts = []
    for stage, title, needed, sentences in (
        ("confirm", "Confirmed with fresh seeds", ("confirmed", "best_configurations"), _confirmed_sentences),
        ("horizon", "How far back a variant remembers", ("horizons",), _horizon_sentences),
    ):
        there = any(key in tables for key in needed)
        paragraphs = [*_state(table, design, stage), *sentences(design, tables)] if there else []
        command = "" if there else on_record(design.get("command"), f"stage={stage}", results=results)
        parts.append({"stage": stage, "title": title, "paragraphs": paragraphs, "command": command})
    return parts


def _state(table: pd.DataFrame, design: Design, stage: str) -> list[str]:
    """What a reader must know of a stage that is not complete, or older than its search."""
    facts, notes = (design.get("stages") or {}).get(stage, {}), []
    done = int((table["stage"] == stage).sum())
    if done < facts.get("trials", done):
        notes.append(f"Not complete: {done} of {facts['trials']} trials of this stage have been run.")
    points = int(design.get("points") or 0)
    if facts.get("points", points) < points:
        notes.append(
            f"Planned when the search had {facts['points']} points; it has {points} now. The same command with stage={stage} plans it anew."
        )
    return notes


def _confirmed_sentences(design: Design, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    if "confirmed" not in tables:
        return []
    found, baseline = tables["confirmed"], baseline_of(tables["confirmed"], design)
    tasks = [t for t in order(found, design, "task") if t in set(found["task"]) and t != ALL]
    replicates, size = int(found.loc[found["task"] != ALL, "replicates"].max()), block_size(design)
    search = f"a search of {size} trials" if size else "a search"
    paragraphs = [
        f"The trials were split into blocks, each of them {search}. The winner of each block by validation loss was trained again with a "
        f"fresh seed and scored on fresh test data: {replicates} replicate{'s' if replicates > 1 else ''} of “search, then train” per task "
        "and variant, free of the luck that made them win. All variants share blocks and seeds."
    ]
    if ALL in set(found["task"]):
        named = [
            f"{row['variant']} {_with(row['iqm'], row['low'], row['high'])}"
            for row in _rows(found[found["task"] == ALL], "iqm")
        ]
        paragraphs.append(f"Interquartile mean score over all tasks: {', '.join(named)}.")
    others = found[(found["task"] != ALL) & found["p"].notna()]
    few = fewest_to_conclude(int(others.groupby("task").size().max())) if len(others) else 0
    for task in tasks:
        own = found[found["task"] == task]
        solved = ", ".join(f"{row['variant']} {row['solved']} of {row['replicates']}" for row in own.to_dict("records"))
        text = f"{task}: solved by {solved}."
        compared = own[own["p"].notna()]
        if len(compared) and replicates >= few:
            for word, good in (("More likely to do better", 1), ("More likely to do worse", -1)):
                chosen = compared[(compared["p_holm"] <= 0.05) & (good * (compared["improvement"] - 0.5) > 0)]
                if len(chosen):
                    text += f" {word} than {baseline}: {'; '.join(_chance(row) for row in chosen.to_dict('records'))}."
            rest = compared[compared["p_holm"] > 0.05]
            if len(rest):
                named = [
                    f"{r['variant']} ({_with(r['improvement'], r['improvement_low'], r['improvement_high'])})"
                    for _, r in rest.iterrows()
                ]
                text += f" Not told apart from it by these replicates, with the probability of improvement: {', '.join(named)}."
        paragraphs.append(text)
    if replicates < few:
        variants = len(others) // len(tasks)
        paragraphs.append(
            f"With {replicates} replicate{'s' if replicates > 1 else ''} nothing is concluded: with {variants} variants beside the "
            f"baseline even a clean sweep needs {few} to be told from luck. That takes {few * (size or 5)} points or more."
        )
    elif len(others):
        paragraphs.append(
            "Probability of improvement: that a replicate scores higher than one of the baseline, ties counted half. A difference is "
            "claimed where the p-value, from label swaps within blocks and Holm-adjusted over the variants of a task, is at most .05."
        )
    return paragraphs


def fewest_to_conclude(variants: int, level: float = 0.05) -> int:
    """Replicates at which the smallest possible p-value by label swaps, 2 / 2^P, adjusted for so many variants, reaches
    the level.
    """
    return int(np.ceil(1 + np.log2(variants / level)))


def block_size(design: Design) -> int:
    """Points of a block of stage 2, 0 where the design does not say."""
    facts = (design.get("stages") or {}).get("confirm", {})
    if not facts:
        return 0
    points, knobs = int(facts["points"]), facts["knobs"]
    return min(points, max(int(knobs["block_size"]), points // int(knobs["blocks"])))


def _chance(row: Mapping[str, Any]) -> str:
    p = "p < .001" if row["p_holm"] < 0.001 else f"p = {row['p_holm']:.3f}".replace("0.", ".")
    return f"{row['variant']}, probability {_with(row['improvement'], row['improvement_low'], row['improvement_high'])}, {p}"


def _with(value: float, low: float, high: float) -> str:
    return f"{value:.2f} [{low:.2f}, {high:.2f}]" if np.isfinite(low) else f"{value:.2f}"


def _rows(table: pd.DataFrame, by: str) -> list[dict[Any, Any]]:
    return table.sort_values(by, ascending=False, kind="stable").to_dict("records")


def _horizon_sentences(design: Design, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    found, trials = tables["horizons"], usable(tables["horizon_trials"])
    budget = trials["budget"].max()
    knobs = (design.get("stages") or {}).get("horizon", {}).get("knobs", {})
    best = f"The best {knobs['best']} configurations" if knobs.get("best", 1) > 1 else "The best configurations"
    paragraphs = [
        f"{best} of each variant at the study's lag were trained anew, with at most {budget:,} updates, at lags that double. The "
        "memory horizon is the lag in steps up to which half of the runs solve the task, with its 95 % interval; ≥ and < are bounds "
        "where the lags ended. Configurations were chosen at the study's lag, so that a longer lag may be within reach of others; "
        "horizons are not tested against each other."
    ]
    for task in [t for t in order(found, design, "task") if t in set(found["task"])]:
        own = found[found["task"] == task]
        lags = sorted(trials.loc[trials["task"] == task, "lag"].unique())
        per_lag = trials[trials["task"] == task].groupby(["variant", "lag"]).size().max()
        named = ", ".join(f"{row['variant']} {horizon_text(row)}" for row in _rows(own, "log2_horizon"))
        paragraphs.append(f"{task}: {named}; {per_lag} runs at each of the lags {', '.join(map(str, lags))}.")
    return paragraphs
