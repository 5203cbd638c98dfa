"""What the parts of a cell are worth and whether they help each other, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from runs.study.factors import NO, YES

from .. import words
from ..figures.effect_matrix import NAMED_BY_LEVELS, level_name, part_name
from ..statistics.endpoints import EASE, ENDPOINTS, QUALITY
from ..study import Study
from ..tables.comparisons import (
    BETTER,
    EVERYTHING_SOLVED,
    FEWEST_FOR_INFERENCE,
    GUARDS,
    SAME,
    WORSE,
    half_width,
)
from ..tables.effects import FLOOR, MAIN, PAIR
from ..words import the

Row = Mapping[Any, Any]
TWICE = (1.75, 2.25)  # ratios that are called twice as much, with their interval
MOST_PAIRS = 4  # pairs that a sentence names


def found_effects(study: Study, effects: pd.DataFrame) -> list[str]:
    """Return one sentence on the parts and one on their pairs for each question, for the first screen of a report.

    effects: of `tables.effects`.
    """
    primary = effects[effects["primary"]]
    if primary["difference"].isna().all():
        return ["No effect can be computed: there are not two points at which every combination has a trial."]
    inferred = primary[np.isfinite(primary["low"])]
    if inferred.empty:
        points = int(primary["points"].max())
        return [f"With {points} points, fewer than {FEWEST_FOR_INFERENCE}, effects of the parts may be chance."]
    found = []
    for question in (EASE, QUALITY):
        for _, own in inferred[inferred["question"] == question].groupby("endpoint", sort=False):
            found += [_parts_sentence(own, question), _pairs_sentence(own, question)]
    return [sentence for sentence in found if sentence]


def effect_sentences(study: Study, effects: pd.DataFrame) -> list[str]:
    """Return a paragraph for each task and question, which begins with the task: parts first, then pairs.

    A difference is stated where its interval excludes zero and is not inside the margin. Beside what is not told apart
    stands the largest difference that remains possible.

    effects: of `tables.effects`.
    """
    found = []
    primary = effects[effects["primary"] & np.isfinite(effects["low"])]
    for (task, endpoint), own in primary.groupby(["task", "endpoint"], sort=False):
        rows = own.to_dict("records")
        what = ENDPOINTS[str(endpoint)].title
        if set(own["verdict"]) <= set(GUARDS):
            told = str(own["verdict"].iloc[0])
            found.append(f"{task}: {what}: {told} over all combinations, so that nothing can differ.")
            continue
        texts = [f"{what}: {_mains(rows)}", _pairs(rows)]
        found.append(f"{task}: {' '.join(text for text in texts if text)}")
    return found


# The first screen
# ----------------------------------------------------------------------------------------------------------------------


def _parts_sentence(own: pd.DataFrame, question: str) -> str:
    opening = "After tuning, " if question == QUALITY else ""
    mains = own[own["kind"] == MAIN]
    if set(mains["verdict"]) <= set(GUARDS):
        everything = EVERYTHING_SOLVED in set(mains["verdict"])
        why = "nearly everything is solved" if everything else "hardly anything was learned"
        return words.capital(f"{opening}{why}, so that no part can make a difference.")
    more, less = "improves the best of a search", "makes it worse"
    if question == EASE:
        losses = ENDPOINTS[own["endpoint"].iloc[0]].of_losses
        more = "lowers the mean loss of all settings" if losses else "makes more settings succeed"
        less = "raises it" if losses else "makes fewer succeed"
    tasks = list(dict.fromkeys(own["task"]))
    texts = []
    for verdict, what in ((BETTER, more), (WORSE, less)):
        rows = mains[mains["verdict"] == verdict]
        named = []
        for part, where in rows.groupby("effect", sort=False):
            size = _range(where)
            on = "" if len(tasks) == 1 else f" on {_some(list(where['task']), len(tasks))}"
            named.append(f"{the_part(str(part))}{on} ({size})")
        if named:
            texts.append(f"what {what}: {'; '.join(named)}")
    if not texts:
        return words.capital(f"{opening}no part is told apart from none; {_possible(mains)}.")
    return words.capital(f"{opening}{'. '.join(map(words.capital, texts)) if not opening else '; '.join(texts)}.")


def _pairs_sentence(own: pd.DataFrame, question: str) -> str:
    opening = "After tuning, " if question == QUALITY else ""
    pairs = own[(own["kind"] == PAIR) & ~own["verdict"].isin(GUARDS)]
    if pairs.empty:
        return ""
    apart = pairs[pairs["verdict"].isin((BETTER, WORSE))]
    if apart.empty:
        return words.capital(f"{opening}no pair is told apart; {_possible(pairs)}.")
    largest = max(apart.to_dict("records"), key=lambda row: (not row["bound"], abs(row["difference"] / row["error"])))
    mains = own[(own["kind"] == MAIN) & (own["task"] == largest["task"])].to_dict("records")
    on = f" (on {words.spoken(str(largest['task']))})" if own["task"].nunique() > 1 else ""
    more = f"; {len(apart) - 1} more of {len(pairs)} pairs are told apart" if len(apart) > 1 else ""
    at_bounds = int((apart["bound"] != "").sum()) - bool(largest["bound"])
    more += f", {at_bounds} of them perhaps by a floor or a ceiling alone" if at_bounds else ""
    return words.capital(f"{opening}{pair_sentence(largest, mains)}{on}{more}.")


def _some(tasks: Sequence[str], of: int) -> str:
    if len(tasks) == of:
        return "both tasks" if of == 2 else f"all {of} tasks"
    return words.listed([words.spoken(task) for task in tasks]) if len(tasks) < 3 else f"{len(tasks)} of {of} tasks"


def _range(rows: pd.DataFrame) -> str:
    sizes, unit = rows["difference"].abs(), str(rows["unit"].iloc[0])
    low, high = words.bare(sizes.min(), unit), words.amount(sizes.max(), unit)
    return high if words.amount(sizes.min(), unit) == high else f"{low} to {high}"


# Task by task
# ----------------------------------------------------------------------------------------------------------------------


def _mains(rows: Sequence[Row]) -> str:
    """Return what is known of each part, the largest effects first."""
    mains = sorted((row for row in rows if row["kind"] == MAIN), key=lambda row: -abs(row["difference"]))
    texts = []
    for verdict, verb in ((BETTER, "helps by"), (WORSE, "harms by")):
        for row in (row for row in mains if row["verdict"] == verdict):
            size = words.size(row["difference"], row["low"], row["high"], row["p"], row["unit"])
            texts.append(f"{the_part(row['effect'])} {verb} {size}{_also(row)}")
    same = [the_part(row["effect"]) for row in mains if row["verdict"] == SAME]
    open_ = [row for row in mains if row["verdict"] not in (BETTER, WORSE, SAME)]
    if same:
        margin = words.amount(0.1 * mains[0]["span"], mains[0]["unit"])
        texts.append(f"the same within {margin}: {words.listed(same)}")
    if open_:
        named = words.listed([the_part(row["effect"]) for row in open_])
        texts.append(f"{named} cannot be told from no effect; {_possible(pd.DataFrame(open_))}")
    return words.capital("; ".join(texts)) + "."


def _pairs(rows: Sequence[Row]) -> str:
    pairs = [row for row in rows if row["kind"] == PAIR and row["verdict"] not in GUARDS]
    if not pairs:
        return ""
    apart = sorted((row for row in pairs if row["verdict"] in (BETTER, WORSE)), key=lambda r: -abs(r["difference"]))
    others = [row for row in pairs if row["verdict"] not in (BETTER, WORSE)]
    possible = _possible(pd.DataFrame(others)) if others else ""
    if not apart:
        return f"No pair is told apart; {possible}."
    mains = [row for row in rows if row["kind"] == MAIN]
    texts = [words.capital(pair_sentence(row, mains)) + _also(row) for row in apart[:MOST_PAIRS]]
    if len(apart) > MOST_PAIRS:
        texts.append(f"{len(apart) - MOST_PAIRS} more pairs are told apart, see the table of effects")
    if others:
        texts.append(f"No other pair is told apart; {possible}")
    return ". ".join(texts) + "."


def _possible(rows: pd.DataFrame) -> str:
    """Return how large an effect may still be."""
    largest = np.abs(rows[["low", "high"]].to_numpy()).max()
    return f"differences up to {words.amount(float(largest), str(rows['unit'].iloc[0]))} remain possible"


def _also(row: Row) -> str:
    return f" (not told from {row['aliases'].replace('; ', ' and ')})" if row["aliases"] else ""


def pair_sentence(row: Row, mains: Sequence[Row]) -> str:
    """Return what a pair means: how much a part is worth with and without the other one.

    row: of a pair that is told apart, see `tables.effects`.
    mains: rows of the main effects of the same task and endpoint; the part with the larger one is the subject.

    >>> row = {"effect": "forget_gate x output_activation", "part": "forget_gate", "other": "output_activation",
    ...        "plus": "yes", "minus": "no", "other_plus": "yes", "other_minus": "no", "endpoint": "solve_rate",
    ...        "where_plus": 0.2, "where_minus": 0.4, "ratio_low": 1.4, "ratio_high": 3.1, "bound": "", "unit": "%"}
    >>> pair_sentence(row, []).split(" (")[0]
    'without an output activation the forget gate is worth twice as much'
    """
    first, second = str(row["effect"]).split(" x ")
    sizes = {main["effect"]: abs(main["difference"]) for main in mains}
    own = ""
    if sizes.get(second, 0.0) > sizes.get(first, 0.0):
        first, second, own = second, first, "other_"
    sign = -1.0 if ENDPOINTS[row["endpoint"]].lower_is_better else 1.0
    there, away = sign * row[f"{own}where_plus"], sign * row[f"{own}where_minus"]
    place = where(second, there=abs(there) > abs(away))
    larger, smaller = (there, away) if abs(there) > abs(away) else (away, there)
    name, unit = the_part(first), row["unit"]
    verb = _verb(name, "is worth", "are worth") if larger > 0 else _verb(name, "costs", "cost")
    smaller_text = words.bare(abs(smaller), unit)
    if larger * smaller < 0 and smaller_text != words.bare(0.0, unit):
        smaller_text = f"−{smaller_text}"
    numbers = f"{words.bare(abs(larger), unit)} instead of {smaller_text}{words.unit_of(unit).after_difference}"
    times, interval = _times(row[f"{own}ratio_low"], larger / smaller if smaller else np.inf, row[f"{own}ratio_high"])
    return f"{place} {name} {verb} {times} ({numbers}{interval}){at_bound(row)}"


def _times(low: float, ratio: float, high: float) -> tuple[str, str]:
    """Return how many times as much, and its interval; no number where the smaller effect may be zero."""
    if not np.isfinite(low):
        return "more", ""
    times = "twice as much" if TWICE[0] <= ratio <= TWICE[1] else f"{ratio:.1f} times as much"
    return times, f"; 95 % interval {low:.1f} to {high:.1f} times"


def at_bound(row: Row) -> str:
    """Return that a floor or a ceiling alone can make a pair differ; empty where none can."""
    if not row["bound"]:
        return ""
    losses = ENDPOINTS[row["endpoint"]].of_losses
    hardly = "hardly anything is learned" if losses or row["question"] == QUALITY else "hardly anything is solved"
    what = f"{hardly}, so that nothing is left to lose" if row["bound"] == FLOOR else (
        "nearly everything is solved, so that nothing is left to gain"
    )  # fmt: skip
    return f", but with some of these levels {what}, which alone can make such a difference"


def the_part(effect: str) -> str:
    """Return a main effect as it stands in a sentence.

    >>> the_part("forget_gate"), the_part("peepholes"), the_part("gating:coupled-own")
    ('the forget gate', 'peepholes', 'coupled instead of own gating')
    >>> the_part("cell:gru-vanilla"), the_part("network:attention-reader")
    ('the GRU instead of the LSTM', 'attention instead of a read-out')
    """
    name, _, levels = effect.partition(":")
    plus, _, minus = levels.partition("-")
    if levels:
        last = "" if name in NAMED_BY_LEVELS else f" {words.spoken(name)}"
        return f"{_level(plus, name)} instead of {_level(minus, name)}{last}"
    return part_name(name) if _countless(name) else f"the {part_name(name)}"


def where(effect: str, *, there: bool) -> str:
    """Return where a second part is at its first level or not: `without an output activation`.

    >>> where("output_activation", there=False), where("gating:coupled-own", there=True)
    ('without an output activation', 'where gating is coupled')
    >>> where("network:attention-reader", there=True), where("cell:gru-vanilla", there=False)
    ('with attention', 'with the LSTM')
    """
    name, _, levels = effect.partition(":")
    plus, _, minus = levels.partition("-")
    if name in NAMED_BY_LEVELS:
        level = plus if there else minus
        return f"{words.NETWORKS.get(level, 'with')} {_level(level, name)}"
    if levels:
        return f"where {words.spoken(name)} is {level_name(plus if there else minus)}"
    bare = part_name(name)
    article = "" if _countless(name) else "an " if bare[0] in "aeiou" else "a "
    return f"{'with' if there else 'without'} {article}{bare}"


def _level(level: str, factor: str) -> str:
    """Return a level as it stands in a sentence: a variant has its article."""
    return the(level) if factor == "cell" else level_name(level, factor)


def levels_in_words(study: Study) -> list[tuple[str, str]]:
    """Return each factor and its levels, the baseline's first."""
    factors = study.design.factors
    if factors is None:
        return []
    texts = {YES: "with", NO: "without"}
    return [
        (part_name(name), ", ".join(texts.get(level, level_name(level, name)) for level in levels))
        for name, levels in factors.levels.items()
    ]


def _countless(name: str) -> bool:
    return name.endswith("s") or name in ("gate_recurrence", "coupled")


def _verb(name: str, one: str, many: str) -> str:
    return many if name.endswith("s") else one


def smallest_seen(effects: pd.DataFrame) -> str:
    """Return how large effects on the question that comes first must be to be seen; empty where there are none."""
    inferred = effects[effects["primary"] & np.isfinite(effects["low"]) & ~effects["verdict"].isin(GUARDS)]
    if inferred.empty:
        return ""
    own = inferred[inferred["endpoint"] == inferred["endpoint"].iloc[0]]
    widths = [half_width(row["low"], row["difference"], row["high"]) for row in own.to_dict("records")]
    unit = str(own["unit"].iloc[0])
    low, high = words.bare(min(widths), unit), words.amount(max(widths), unit)
    return high if words.amount(min(widths), unit) == high else f"{low} to {high}, depending on the effect"
