"""What a study says about lags, in sentences computed from its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import words
from ..study import Study
from ..tables.comparisons import FEWEST_FOR_INFERENCE, GUARDS, MARGIN, NOTHING_LEARNED, OPEN, SAME
from ..tables.lags import AT_LAG, FEWEST_SOLVED, MEAN, SLOPE

Rows = Sequence[Mapping[Any, Any]]
UNIT = "%"

METHOD = (
    "The half lag is the lag at which one half of the solve rate at the shortest lag is left (trimmed Spearman-Kärber"
    " estimate over log2 lag), with its 95 % interval in brackets. It is relative: a variant that solves little may "
    "have a long half lag. Earlier and later than the baseline hold for all variants of a series together, and so do,"
    " each on its own, the differences over all lags and those per doubling. Between two lags nothing was measured."
)


def lag_sentences(study: Study, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return one paragraph for each series of lags, and one for the method; none where no task has several lags.

    study: the study.
    tables: those of `tables.lags.lag_tables` among others, by name.
    """
    if "lags" not in tables:
        return []
    found = []
    for series in dict.fromkeys(tables["lags"]["series"]):
        own = [tables[name][tables[name]["series"] == series] for name in ("lags", "half_lags", "lag_effects")]
        found.append(_series(study, str(series), *own))
    return [*found, METHOD] if found else []


def _series(study: Study, series: str, lags: pd.DataFrame, halves: pd.DataFrame, effects: pd.DataFrame) -> str:
    """Return the paragraph of a series."""
    steps = [str(lag) for lag in dict.fromkeys(lags["lag"])]
    opening = f"{series}, lags {words.listed(steps)}:"
    if not lags["solved"].any():
        return f"{opening} nothing was learned at any lag."
    rows = halves.to_dict("records")
    baseline = next((row for row in rows if row["variant"] == study.baseline), None)
    others = [row for row in rows if row["variant"] != study.baseline]
    if baseline is None:
        named = [f"{row['variant']} {words.half_lag(row)}" for row in others]
        return f"{opening} half lags: {words.listed(named)}." if named else f"{opening} no variant has all lags."
    sentences = [_baseline(baseline), *_order(others, baseline)]
    if baseline["points"] >= FEWEST_FOR_INFERENCE:
        sentences += _effects(effects, lags, study.baseline or "")
    else:
        sentences.append(f"With {baseline['points']} points, fewer than {FEWEST_FOR_INFERENCE}, nothing is concluded.")
    return " ".join([opening, *sentences])


# Half lags
# ----------------------------------------------------------------------------------------------------------------------


def _baseline(row: Mapping[Any, Any]) -> str:
    """Return the half lag of the baseline, or why there is none."""
    first = f"{words.level(row['first_rate'], UNIT)} of its trials at lag {row['shortest']}"
    if not np.isfinite(row["half_lag"]):
        return f"{row['variant']} solves none of its trials at lag {row['shortest']}, so it has no half lag."
    if row["at_least"]:
        return f"{row['variant']} solves {first}, and still more than half as many at lag {row['longest']}."
    return f"{row['variant']} solves {first}; half of that is left at lag {words.half_lag(row)}."


def _order(others: Rows, baseline: Mapping[Any, Any]) -> list[str]:
    """Return which variants fall off earlier or later than the baseline, and which are not told apart from it."""
    found = []
    for early, word in ((True, "earlier"), (False, "later")):
        named = [_named(r) for r in others if r["significant"] and (r["doublings"] < 0) == early]
        if named:
            found.append(f"Falls off {word} than {baseline['variant']}: {words.listed(named)}.")
    rest = [row for row in others if not row["significant"]]
    known = [_named(row) for row in rest if np.isfinite(row["low"])]
    few = [str(row["variant"]) for row in rest if not np.isfinite(row["low"])]
    if known:
        shown = words.listed(known) if len(known) <= words.MOST_NAMED else f"{len(known)} variants"
        found.append(f"Half lag not told apart from it: {shown}.")
    if few and baseline["points"] >= FEWEST_FOR_INFERENCE:
        found.append(
            f"Without a half lag, since fewer than {FEWEST_SOLVED} trials at lag {baseline['shortest']} are solved: "
            f"{words.listed(few)}."
        )
    return found


def _named(row: Mapping[Any, Any]) -> str:
    return f"{row['variant']} at {words.half_lag(row)}"


# Differences
# ----------------------------------------------------------------------------------------------------------------------


def _effects(effects: pd.DataFrame, lags: pd.DataFrame, baseline: str) -> list[str]:
    """Return the sentences on the mean over the lags, on the change per doubling, and on single lags."""
    inferred = effects[(effects["effect"] != AT_LAG) & np.isfinite(effects["low"])]
    found = [*_means(inferred[inferred["effect"] == MEAN], baseline)]
    found += _slopes(inferred[inferred["effect"] == SLOPE], lags, inferred[inferred["effect"] == MEAN], baseline)
    found += _by_lag(effects[effects["effect"] == AT_LAG])
    nothing = effects[(effects["effect"] == MEAN) & (effects["verdict"] == NOTHING_LEARNED)]["variant"].tolist()
    if nothing:
        found.append(f"Nothing was learned at any lag by {words.listed([baseline, *nothing])}.")
    return found + _resolution(inferred)


def _means(means: pd.DataFrame, baseline: str) -> list[str]:
    found = []
    for better, word in ((True, "better"), (False, "worse")):
        rows = [r for r in means.to_dict("records") if r["significant"] and (r["difference"] > 0) == better]
        if rows:
            named = [f"{r['variant']} by {_size(r)}" for r in rows]
            found.append(f"Over all lags {word} than {baseline}: {words.listed(named)}.")
    for verdict, words_for_it in (
        (SAME, f"The same over all lags within {words.amount(MARGIN, UNIT)}"),
        (OPEN, "Not told apart from it over all lags"),
    ):
        rest = means[means["verdict"] == verdict]["variant"].tolist()
        if rest:
            shown = words.listed(rest) if len(rest) <= words.MOST_NAMED else f"{len(rest)} variants"
            found.append(f"{words_for_it}: {shown}.")
    return found


def _size(row: Mapping[Any, Any]) -> str:
    """Return the size of a difference with its interval, without a sign: '18 [6, 30] percentage points'."""
    sign = 1 if row["difference"] > 0 else -1
    low, high = sorted((sign * row["low"], sign * row["high"]))
    ends = f"[{words.number(low, UNIT)}, {words.number(high, UNIT)}]"
    return f"{words.number(abs(row['difference']), UNIT)} {ends}{words.UNITS[UNIT].after_difference}"


def _slopes(slopes: pd.DataFrame, lags: pd.DataFrame, means: pd.DataFrame, baseline: str) -> list[str]:
    """Return the interaction of variant and lag: how much more or less a variant loses per doubling of the lag."""
    first = lags[lags["lag"] == lags["lag"].min()].set_index("variant")["solve_rate"]
    worse = set(means[means["significant"] & (means["difference"] < 0)]["variant"])
    found = []
    for row in slopes[slopes["significant"]].to_dict("records"):
        variant, more = row["variant"], row["difference"] < 0
        text = f"{variant} loses {_size(row)} {'more' if more else 'less'} per doubling of the lag than {baseline}"
        if not more and variant in worse:
            rates = [words.level(first[name], UNIT) for name in (variant, baseline)]
            text += f", but it has less to lose ({rates[0]} against {rates[1]} at lag {lags['lag'].min()})"
        found.append(f"{text}.")
    if found or not (slopes["verdict"] == OPEN).any():
        return found
    return [f"No variant is told apart from {baseline} in what it loses per doubling of the lag."]


def _by_lag(single: pd.DataFrame) -> list[str]:
    """Return which variants are better at some lags and worse at others, as far as that is significant."""
    found = []
    for variant, own in single[single["significant"]].groupby("variant", sort=False):
        better, worse = (
            [f"{row['lag']}" for row in own.to_dict("records") if (row["difference"] > 0) == good]
            for good in (True, False)
        )
        if better and worse:
            found.append(
                f"{variant} depends on the lag: better at {words.listed(better)}, worse at {words.listed(worse)}."
            )
    return found


def _resolution(inferred: pd.DataFrame) -> list[str]:
    inferred = inferred[~inferred["verdict"].isin(GUARDS)]
    if inferred.empty:
        return []
    half = ((inferred["high"] - inferred["low"]) / 2).groupby(inferred["effect"]).median()
    return [
        f"Resolution with {int(inferred['points'].min())} points: ± {words.amount(half[MEAN], UNIT)} over all lags, "
        f"± {words.amount(half[SLOPE], UNIT)} per doubling."
    ]
