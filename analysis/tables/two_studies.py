"""Two studies beside each other: what differs between their designs, and what became of each variant on each task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..report.sentences import MOST_NAMED, amount, in_words
from ..statistics import stats
from .comparisons import FEWEST_FOR_INFERENCE, comparable, values_of
from .summary import baseline_of, order, usable

Design = Mapping[str, Any]
LEAST_SHARED = 0.5  # of the points of the smaller study: from there on the studies are paired on a task
NOT_SETTINGS = ("name", "created", "command", "tracking_uri", "sessions", "variants", "tasks")
CHANGE, LEAD = "variant", "lead over the baseline"
COLUMNS = (
    *(
        "task",
        "variant",
        "what",
        "endpoint",
        "primary",
        "paired",
        "points",
        "study",
        "other",
        "difference",
        "low",
        "high",
        "p",
        "p_holm",
    ),
    *("significant", "same_numbers", "same_outcome", "pairs", "time", "time_low", "time_high"),
)


@dataclass(frozen=True)
class Beside:
    """A second study beside the first.

    study, other: their names. settings: rows (setting, study, other) in which the designs differ. cells: one row per
    task, variant, endpoint, and of `what`: the variant itself, or its lead over the baseline. sentences: what changed,
    in words.
    """

    study: str
    other: str
    settings: pd.DataFrame
    cells: pd.DataFrame
    sentences: list[str]


def put_beside(
    table: pd.DataFrame,
    design: Design,
    other: pd.DataFrame,
    other_design: Design,
    *,
    resamples: int = 2000,
    swaps: int = 1999,
) -> Beside:
    """Compare two studies where they have a task and a variant of the same name.

    Raises ValueError where one of them is a search, or nothing is common to both.
    """
    for one in (design, other_design):
        if not comparable(one):
            raise ValueError(
                f"compare: study {one['name']!r} is a search (sampler={one.get('sampler', 'random')}, pruner={one.get('pruner', 'none')}): "
                "its variants did not get the same trials"
            )
    name, other_name = str(design["name"]), str(other_design["name"])
    if name == other_name:
        other_name = f"{other_name} (other)"
    cells = changes(table, design, other, other_design, resamples=resamples, swaps=swaps)
    settings = differing(table, design, other, other_design)
    return Beside(name, other_name, settings, cells, sentences(cells, baseline_of(table, design)))


# Designs
# -------------------------------------------------------------------------------------------------------------------


def differing(table: pd.DataFrame, design: Design, other: pd.DataFrame, other_design: Design) -> pd.DataFrame:
    """Rows (setting, study, other) of everything that differs between two designs, and what the trials say of engine
    and time.
    """
    ours, theirs = dict(_settings(table, design)), dict(_settings(other, other_design))
    rows = [
        {"setting": key, "study": ours.get(key, "–"), "other": theirs.get(key, "–")}
        for key in dict.fromkeys([*ours, *theirs])
        if ours.get(key) != theirs.get(key)
    ]
    return pd.DataFrame(rows, columns=["setting", "study", "other"])


def _settings(table: pd.DataFrame, design: Design) -> Iterator[tuple[str, str]]:
    for axis in ("task", "variant"):
        node = design.get(f"{axis}s") or {}
        yield f"{axis}s", ", ".join(order(table, design, axis))
        if isinstance(node, Mapping):
            yield from ((f"{axis} {k}", v) for k, v in _flat(node) if not k.endswith(".label"))
    for key, node in design.items():
        if key == "space":
            yield from ((f"space {name}", _range(n)) for name, n in node.items())
        elif key not in NOT_SETTINGS:
            yield from _flat({key: node})
    engines = sorted(set(table["engine"]) - {""})
    yield "engine that ran", ", ".join(engines)


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", f"{value:g}" if isinstance(value, float) else str(value)


def _range(node: Mapping[str, Any]) -> str:
    return f"{node['low']:g} to {node['high']:g}{', log' if node.get('log') else ''}{', as 1 - x' if node.get('complement') else ''}"


# Outcomes
# ------------------------------------------------------------------------------------------------------------------


def changes(
    table: pd.DataFrame,
    design: Design,
    other: pd.DataFrame,
    other_design: Design,
    *,
    resamples: int = 2000,
    swaps: int = 1999,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per common task, endpoint and variant, for the variant itself and for its lead over the study's baseline.

    paired: where at least half of the points of the smaller study are points of the other, the same place in the unit
    cube; then the difference is over these points, else over all trials of both. points: that it rests on, of the
    smaller side. study, other: the statistic of each, over those points. difference: study minus other. low, high:
    simultaneous 95 % intervals over the variants of a task, NaN below 20 points. p, p_holm: by exchanging the studies
    point by point where paired, by dealing the trials anew where not; none for a lead. significant: of the primary
    endpoint, which the solve rate pooled over both studies chooses. Steps count up to the smaller budget.
    same_numbers, same_outcome: of `pairs` trials at the same point, how many gave equal losses to the last bit, and how
    many were solved in both or neither. time: seconds per training step, study over other (geometric mean), with its
    interval by itself.

    Raises ValueError where the studies have no task or no variant in common.
    """
    ours, theirs = usable(table), usable(other)
    tasks = [t for t in order(table, design, "task") if t in set(ours["task"]) & set(theirs["task"])]
    variants = [v for v in order(table, design, "variant") if v in set(ours["variant"]) & set(theirs["variant"])]
    for axis, common in (("task", tasks), ("variant", variants)):
        if not common:
            mine, yours = (", ".join(order(t, d, axis)) for t, d in ((table, design), (other, other_design)))
            raise ValueError(f"compare: the studies have no {axis} in common: {mine} here, {yours} there")
    baseline = baseline_of(table, design)
    rows: list[dict[str, Any]] = []
    for task in tasks:
        a, b = ours[ours["task"] == task], theirs[theirs["task"] == task]
        present = [v for v in variants if (a["variant"] == v).any() and (b["variant"] == v).any()]
        shared = _shared_points(a, b)
        smaller = min(a["point"].nunique(), b["point"].nunique())
        paired = len(shared) >= LEAST_SHARED * smaller
        if paired:
            a, b = a[a["point"].isin(shared)], b[b["point"].isin(shared.values())]
            b = b.assign(point=b["point"].map({theirs_at: at for at, theirs_at in shared.items()}))
        budget = min(a["budget"].max(), b["budget"].max())
        primary = stats.primary_endpoint(sum(int((x["status"] == "solved").sum()) for x in (a, b)), len(a) + len(b))
        facts = {v: _facts(a[a["variant"] == v], b[b["variant"] == v], paired, seed) for v in present}
        for endpoint in stats.ENDPOINTS.values():
            span = float(budget) if endpoint.column == "steps_to_solve" else 1.0
            sides = [_side(x, endpoint, present, budget, paired, a, b) for x in (a, b)]
            options = {"span": span, "resamples": resamples, "seed": seed}
            compare = stats.compare_pairs if paired else stats.compare_groups
            found = {CHANGE: (present, sides, compare(endpoint.weights, *sides, swaps=swaps, **options))}
            k = [i for i, v in enumerate(present) if v != baseline]
            if baseline in present and k:
                at = [present.index(baseline)] * len(k)
                both = [((x[k], y[k]), (x[at], y[at])) for x, y in sides]
                lead = stats.compare_advantages(endpoint.weights, both[0], both[1], paired=paired, **options)
                found[LEAD] = ([present[i] for i in k], both, lead)
            place = {"task": task, "endpoint": endpoint.name, "primary": endpoint.name == primary, "paired": paired}
            for what, (names, samples, result) in found.items():
                own = _rows(endpoint, what, samples, result, span, paired)
                rows += [
                    {
                        **place,
                        "variant": v,
                        "what": what,
                        **row,
                        "significant": row["significant"] and place["primary"],
                        **facts[v],
                    }
                    for v, row in zip(names, own, strict=True)
                ]
    if not rows:
        raise ValueError("compare: the studies have no variant in common on any task")
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(
    endpoint: stats.Endpoint, what: str, samples: Any, result: stats.Comparison, span: float, paired: bool
) -> Iterator[dict[str, Any]]:
    """What is found of each difference; `significant` as if its endpoint were the primary one."""
    reach = span if what == CHANGE else 2 * span  # no difference can be larger
    for i, points in enumerate(result.points):
        enough = bool(points >= FEWEST_FOR_INFERENCE)
        low, high = (float(np.clip(end[i], -reach, reach)) for end in (result.low, result.high))
        inferred = {"low": low, "high": high, "p": result.p[i], "p_holm": result.p_holm[i]}
        values = dict(zip(("study", "other"), _values(endpoint, samples, i, what, paired), strict=True))
        yield {
            "points": int(points),
            **values,
            "difference": result.difference[i],
            **(inferred if enough else dict.fromkeys(inferred, np.nan)),
            "significant": enough and low * high > 0 and (what == LEAD or bool(result.p_holm[i] <= 0.05)),
        }


def _shared_points(a: pd.DataFrame, b: pd.DataFrame) -> dict[int, int]:
    """Points of the one study that are points of the other, by their place in the unit cube."""
    names = [c for c in a if str(c).startswith("u_")]
    if not names or set(names) != {c for c in b if str(c).startswith("u_")}:
        return {}
    places = [{tuple(row[:-1]): int(row[-1]) for row in x[[*names, "point"]].itertuples(index=False)} for x in (a, b)]
    return {point: places[1][u] for u, point in places[0].items() if u in places[1]}


def _side(
    own: pd.DataFrame,
    endpoint: stats.Endpoint,
    variants: list[str],
    budget: float,
    paired: bool,
    a: pd.DataFrame,
    b: pd.DataFrame,
) -> tuple[np.ndarray, np.ndarray]:
    """Values and validation losses [V, P] of one study on a task, at the points of both where they are paired."""
    points = sorted(set(a["point"]) | set(b["point"])) if paired else sorted(set(own["point"]))
    limited = own.assign(budget=np.minimum(own["budget"], budget))
    wide = [
        own.assign(x=values)
        .pivot(index="variant", columns="point", values="x")
        .reindex(index=variants, columns=points)
        .to_numpy(dtype=float)
        for values in (values_of(limited, endpoint.column), own["validation_loss"])
    ]
    return wide[0], wide[1]


def _values(endpoint: stats.Endpoint, samples: Any, i: int, what: str, paired: bool) -> list[float]:
    """The statistic of each side, or its lead over the baseline, over the trials that the difference rests on."""
    terms = [[side] if what == CHANGE else list(side) for side in samples]
    here = [np.logical_and.reduce([np.isfinite(x[i]) for x, _ in side]) for side in terms]
    if paired:
        here = [here[0] & here[1]] * 2
    found = []
    for side, mask in zip(terms, here, strict=True):
        count = int(mask.sum())
        single = [
            endpoint.weights(np.ones((1, count)), y[i, mask])[0] @ x[i, mask] if count else np.nan for x, y in side
        ]
        found.append(float(single[0] if what == CHANGE else single[0] - single[1]))
    return found


def _facts(a: pd.DataFrame, b: pd.DataFrame, paired: bool, seed: int) -> dict[str, Any]:
    """What the trials of one variant have in common: equal numbers, equal outcomes, and the ratio of their times per
    step.
    """
    times = [np.log((x["seconds"].clip(lower=1e-9) / x["steps"].clip(lower=1)).to_numpy()) for x in (a, b)]
    none = {"same_numbers": 0, "same_outcome": 0, "pairs": 0}
    if paired:
        wanted = ["point", "validation_loss", "test_loss", "solved_step", "status"]
        both = a.assign(time=times[0])[[*wanted, "time"]].merge(
            b.assign(time=times[1])[[*wanted, "time"]], on="point", suffixes=("", "_b")
        )
        equal = [((both[c] == both[f"{c}_b"]) | (both[c].isna() & both[f"{c}_b"].isna())) for c in wanted[1:4]]
        solved = (both["status"] == "solved") == (both["status_b"] == "solved")
        none = {
            "same_numbers": int(np.logical_and.reduce(equal).sum()),
            "same_outcome": int(solved.sum()),
            "pairs": len(both),
        }
        times = [(both["time"] - both["time_b"]).to_numpy()]
    if min(len(t) for t in times) == 0:
        return {**none, "time": np.nan, "time_low": np.nan, "time_high": np.nan}
    middle = times[0].mean() - (times[1].mean() if len(times) > 1 else 0.0)
    low, high = stats.bootstrap_interval(
        lambda *t: t[0].mean() - (t[1].mean() if len(t) > 1 else 0.0), *times, resamples=500, seed=seed
    )
    return {**none, "time": float(np.exp(middle)), "time_low": float(np.exp(low)), "time_high": float(np.exp(high))}


# Words
# ---------------------------------------------------------------------------------------------------------------------


def sentences(cells: pd.DataFrame, baseline: str | None) -> list[str]:
    """One paragraph per task, and one on equal numbers and time."""
    primary = cells[cells["primary"]]
    found = [_task(task, own, baseline) for task, own in primary.groupby("task", sort=False)]
    once = primary[primary["what"] == CHANGE]
    ratio = float(np.exp(np.log(once["time"].dropna()).mean())) if once["time"].notna().any() else np.nan
    closing = []
    pairs, numbers, outcomes = (int(once[c].sum()) for c in ("pairs", "same_numbers", "same_outcome"))
    if pairs:
        closing.append(
            f"Of {pairs} trials that both studies ran at the same point, {numbers} gave the same losses to the last bit, and {outcomes} "
            "the same outcome (solved or not)."
        )
    if np.isfinite(ratio):
        closing.append(
            f"A training step took {ratio:.2f} times as long in this study as in the other (geometric mean over variants and tasks)."
        )
    return [*found, " ".join(closing)] if closing else found


def _task(task: Any, own: pd.DataFrame, baseline: str | None) -> str:
    endpoint = stats.ENDPOINTS[own["endpoint"].iloc[0]]
    change, lead = own[own["what"] == CHANGE], own[own["what"] == LEAD]
    points = int(change["points"].min())
    how = (
        f"paired over {points} points that both studies have"
        if change["paired"].all()
        else f"unpaired, {points} trials or more on each side"
    )
    text = [f"{task}: compared by the {endpoint.title}, {how}."]
    if change["low"].isna().all():
        return f"{text[0]} Fewer than {FEWEST_FOR_INFERENCE}: nothing is concluded; differences are descriptions."
    text += _told(endpoint, change, "", "No variant's own result is told apart between the studies")
    if len(lead):
        text += _told(
            endpoint,
            lead,
            f" in its lead over {baseline}",
            f"No lead over {baseline} is told apart between the studies",
        )
    return " ".join(text)


def _told(endpoint: stats.Endpoint, rows: pd.DataFrame, of: str, nothing: str) -> list[str]:
    told = [row for _, row in rows.iterrows() if row["significant"]]
    rest = [row for _, row in rows.iterrows() if not row["significant"] and np.isfinite(row["low"])]
    found = []
    for up, word in ((True, "Higher"), (False, "Lower")):
        named = [f"{row['variant']} by {in_words(endpoint, row)}" for row in told if (row["difference"] > 0) == up]
        if named:
            found.append(f"{word} in this study{of}: {'; '.join(named)}.")
    if rest:
        limits = sorted((max(abs(row["low"]), abs(row["high"])), row["variant"]) for row in rest)
        shown = ", ".join(f"{variant} ({amount(endpoint, limit)})" for limit, variant in limits[:MOST_NAMED])
        shown = (
            shown
            if len(limits) <= MOST_NAMED
            else f"at most {amount(endpoint, limits[-1][0])} for {len(limits)} variants"
        )
        opening = nothing if not told else f"Not told apart{of}"
        found.append(f"{opening}; the largest change that the data leave possible: {shown}.")
    return found
