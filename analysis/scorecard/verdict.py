"""What may be said of a variant in one line: no more than the simultaneous intervals of the comparisons allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from runs.console.text import counted

from .. import words
from ..tables.comparisons import (
    BETTER,
    EVERYTHING_SOLVED,
    FEWEST_FOR_INFERENCE,
    HARDLY_SOLVED,
    MARGIN,
    NOTHING_LEARNED,
    OPEN,
    SAME,
    SIGNIFICANT,
    WORSE,
)
from ..tables.lags import AT_LAG, MEAN
from .card import EASE, OVERALL, QUALITY_OF_LOSSES, Card, searched
from .card import QUALITY as TUNED_BY

NO_ANSWER = {
    EVERYTHING_SOLVED: "both solve everything on",
    HARDLY_SOLVED: "hardly any trial is solved by either on",
    NOTHING_LEARNED: "neither learns",
}
TUNED = {**NO_ANSWER, EVERYTHING_SOLVED: "both solve"}
"""The same of the best that a search finds; one trial that solves a task is enough there."""
FEW_NAMED = 3
"""Places that are named in one part of a sentence; further ones are counted."""


class Difference(NamedTuple):
    """One difference from the baseline, and where it was seen.

    series: or task, in words. lag: of a single task of a series; 0 for all of a series, or a task in none.
    verdict: of `tables.comparisons`.
    difference, low, high: with the simultaneous interval. unit: of them. span: the range that counts.
    sure: whether it is beyond chance over all tasks, or series, that were looked at.
    """

    series: str
    lag: int
    verdict: str
    difference: float
    low: float
    high: float
    unit: str
    span: float
    sure: bool = True

    @property
    def where(self) -> str:
        """The place in words."""
        return f"{self.series} at lag {self.lag}" if self.lag else self.series


def headline(card: Card) -> str:
    """Return the verdict in one line.

    card: the numbers.
    """
    if card.is_baseline or card.points < FEWEST_FOR_INFERENCE:
        return verdict(card)[0]
    ease, quality = _ease(card), _quality(card)
    parts = [_over_all(card, ease)] if ease else []
    if quality:
        parts.append(_tuned(quality, card, alone=not ease))
    if not parts:
        return "Nothing can be concluded: the study does not compare it with its baseline."
    return words.capital("; ".join(parts)) + "."


def _over_all(card: Card, ease: Sequence[Difference]) -> str:
    """Return how easily it is trained: by task where the signs differ, else over all tasks together."""
    baseline, at = the(card.baseline), f"at N = {card.points} points"
    better, worse = (_all_of(card, ease, sign) for sign in (BETTER, WORSE))
    if better and worse:
        what = "task" if {row.series for row in better} != {row.series for row in worse} else "lag"
        sides = f"easier to train than {baseline} on {_with_sizes(better)}, harder on {_with_sizes(worse)}"
        return f"{at} it {_depends(better, worse)} on the {what}: {sides}{_by_chance(card, [*better, *worse])}"
    guards = {row.verdict for row in ease}
    if guards <= set(NO_ANSWER):
        return f"{at}, {_without_answer(ease)}"
    if len(ease) == 1:
        row, where = ease[0], ease[0].where
    else:
        row, where = _difference("", card.places.iloc[0].to_dict(), "%", 1.0), "all tasks together"
    if row.verdict in (BETTER, WORSE):
        side = "easier" if row.verdict == BETTER else "harder"
        return f"{at}, {side} to train than {baseline} on {where} (by {_size(row)})"
    one, side = [*better, *worse], "easier" if better else "harder"
    places = f"{_with_sizes(one)}{_by_chance(card, one)}" if one else ""
    if row.verdict == SAME and (widest := _widest_left(card, ease)):
        but = f"; {side} to train on {places}" if one else ""
        remain = f"differences of up to {_amount(widest)} on {widest.where} remain possible"
        return f"not told apart from {baseline} {at}: {remain}{_not_compared(card)}{but}"
    if row.verdict == SAME:
        text = f"{at}, as easy to train as {baseline} on {where}, within {words.amount(MARGIN, '%')}"
        but = f", but {side} on {places}" if one else ""
        return f"{text}{_not_compared(card)}{but}"
    if one:
        return f"not told apart from {baseline} {at} over {where}, but {side} to train on {places}"
    if row.verdict == OPEN:
        return f"not told apart from {baseline} {at}: differences of up to {_amount(row)} over {where} remain possible"
    return f"{at}, nothing can be said of how easily it is trained"


def _without_answer(rows: Sequence[Difference]) -> str:
    """Return why no row has an answer."""
    by = {verdict: [row for row in rows if row.verdict == verdict] for verdict in NO_ANSWER}
    return words.listed(
        [f"{NO_ANSWER[name]} {'it' if len(rows) == 1 else _all_or(own, rows)}" for name, own in by.items() if own]
    )


def _depends(better: Sequence[Difference], worse: Sequence[Difference]) -> str:
    """Return whether what is said depends on the place, or only may do so."""
    return "depends" if any(row.sure for row in better) and any(row.sure for row in worse) else "may depend"


def _by_chance(card: Card, rows: Sequence[Difference]) -> str:
    """Return a warning where a difference is not beyond chance over all tasks."""
    count = int((card.places["task"] != OVERALL).sum())
    return "" if all(row.sure for row in rows) else f", which among {count} tasks may be chance"


def _sure(card: Card, task: str, endpoint: str) -> bool:
    """Return whether the difference on a task is beyond chance over all tasks: by Bonferroni's rule."""
    if "p" not in card.compared:
        return True
    rows = card.compared[card.compared["endpoint"] == endpoint]
    return not (rows.loc[rows["task"] == task, "p"] * len(rows) > SIGNIFICANT).any()


def _not_compared(card: Card) -> str:
    """Return on how many tasks both fail or both solve everything, so that their mean is close for that reason."""
    tasks = card.places[(card.places["task"] != OVERALL) & card.places["solvable"].astype(bool)]
    number = int(tasks["verdict"].isin(list(NO_ANSWER)).sum())
    if not number or len(tasks) == 1:
        return ""
    return f" (on {number} of {len(tasks)} tasks both fail or both solve everything)"


def _widest_left(card: Card, ease: Sequence[Difference]) -> Difference | None:
    """Return the open difference that leaves most possible, where tasks without an answer make the mean of all small.

    Where both sides fail, or solve everything, a difference is 0 whatever the cells are like, and so the mean over
    these and others says less than it seems to. None where no task is without an answer, or no difference is open.
    """
    left = [row for row in ease if row.verdict == OPEN]
    return max(left, key=_limit) if left and _not_compared(card) else None


def _all_of(card: Card, ease: Sequence[Difference], sign: str) -> list[Difference]:
    """Return the series on which a variant is better (or worse), and the single lags of others at which it is."""
    found = [row for row in ease if row.verdict == sign]
    known = {row.series for row in found}
    for row in card.places.to_dict("records"):
        series = words.spoken(str(row["series"]))
        if row["task"] != OVERALL and row["verdict"] == sign and row["series"] != row["task"] and series not in known:
            found.append(
                _difference(series, row, "%", 1.0, int(row["lag"]))._replace(sure=_sure(card, row["task"], EASE))
            )
    return found


def _tuned(quality: Sequence[Difference], card: Card, *, alone: bool) -> str:
    """Return how good it is after tuning, by numbers of tasks where there are several."""
    baseline, total = the(card.baseline), len(quality)
    start = f"at N = {card.points} points, after tuning" if alone else "after tuning"
    if total == 1:
        row = quality[0]
        if row.verdict in NO_ANSWER:
            return f"{start} {TUNED[row.verdict]} it"
        if row.verdict == OPEN:
            return f"{start} not told apart from {baseline}: differences of up to {_amount(row)} remain possible"
        if row.verdict == SAME:
            return f"{start} the same as {baseline} within {words.amount(MARGIN * row.span, row.unit)}"
        return f"{start} {'better' if row.verdict == BETTER else 'worse'} than {baseline} (by {_size(row)})"
    counts = {row.verdict: sum(other.verdict == row.verdict for other in quality) for row in quality}
    named = (
        (BETTER, f"better than {baseline} on"),
        (WORSE, f"worse than {baseline} on"),
        (SAME, "the same on"),
        (OPEN, "not told apart on"),
        *TUNED.items(),
    )
    if len(counts) == 1 and counts.keys() <= TUNED.keys():
        return f"{start} both solve all {total} tasks" if EVERYTHING_SOLVED in counts else f"{start} neither learns any"
    parts = [f"{text} {counts[name]}" for name, text in named if name in counts]
    return f"{start} {', '.join(parts)} of {total} tasks"


def verdict(card: Card) -> list[str]:
    """Return what the study allows to say of a variant, one or two sentences for each question.

    Ease is said of each series as the mean over its lags, and of each task that is in none; it is added where single
    lags say more. Quality after tuning is said task by task.

    card: the numbers.
    """
    if card.is_baseline:
        return [_of_baseline(card)]
    if card.points < FEWEST_FOR_INFERENCE:
        return [f"At N = {card.points}, fewer than {FEWEST_FOR_INFERENCE} points, nothing is concluded."]
    found = []
    ease = _ease(card)
    if ease:
        mean = ", as a mean over the lags" if len(card.effects) else ""
        found += [_sentence(ease, f"At N = {card.points} points{mean}", ("easier", "harder"), " to train", card)]
        found += _at_lags(card) + _half_lags(card)
    quality = _quality(card)
    if quality:
        search = _search(card)
        start = search if ease else f"At N = {card.points} points, {search[0].lower()}{search[1:]}"
        found.append(_sentence(quality, start, ("better", "worse"), "", card))
    return found


def the(label: str) -> str:
    """Return the name of a variant in words with its article, if it takes one.

    >>> the("vanilla"), the("greff_v")
    ('the LSTM', "Greff's LSTM")
    """
    name = words.spoken(label)
    return name if "'s " in name else f"the {name}"


# The parts
# ----------------------------------------------------------------------------------------------------------------------


def _of_baseline(card: Card) -> str:
    first, *more = card.places.to_dict("records")
    others = int(first["variants"]) - 1
    if not others:
        start = "This is the baseline, and no other cell is there to compare it with"
    else:
        verb = "is" if others == 1 else "are"
        start = f"This is the baseline, with which {counted(others, 'other cell')} {verb} compared"
    rows = [first] if first["task"] == OVERALL else [first, *more]
    parts = [
        f"it solves {words.level(row['value'], '%')} of its points {_where(row)}, {place(row)}"
        if row["solvable"]
        else f"the test loss of its best decile is {words.level(row['value'], row['unit'])} {_where(row)}, {place(row)}"
        for row in rows[:FEW_NAMED]
    ]
    if len(rows) > FEW_NAMED:
        parts.append(f"{counted(len(rows) - FEW_NAMED, 'more task')} below")
    return f"{start}: {'; '.join(parts)}."


def _where(row: Mapping[Any, Any]) -> str:
    return "over all tasks" if row["task"] == OVERALL else f"on {words.spoken(row['task'])}"


def place(row: Mapping[Any, Any]) -> str:
    """Return the place of a variant in words: 'place 3 of 12 (95 % interval 1 to 6)'."""
    text = f"place {row['rank']:.0f} of {row['variants']:.0f}"
    if not np.isfinite(row["rank_low"]):
        return text
    return f"{text} (95 % interval {row['rank_low']:.0f} to {row['rank_high']:.0f})"


def _ease(card: Card) -> list[Difference]:
    """Return the difference of the solve rate in each series, over its lags, and on each task that is in none."""
    found = []
    means = card.effects[(card.effects["effect"] == MEAN) & (card.effects["variant"] == card.variant)]
    for row in means.to_dict("records"):
        one = _difference(words.spoken(str(row["series"])), row, "%", 1.0)
        found.append(one._replace(sure=not row.get("p", 0.0) * len(means) > SIGNIFICANT))
    in_series = {str(series) for series in means["series"]}
    for row in card.places.to_dict("records"):
        if row["solvable"] and row["task"] != OVERALL and row["series"] not in in_series:
            one = _difference(words.spoken(str(row["task"])), row, "%", 1.0)
            found.append(one._replace(sure=_sure(card, row["task"], EASE)))
    return [one for one in found if isinstance(one.verdict, str)]


def _quality(card: Card) -> list[Difference]:
    """Return the difference of the quality after tuning on each task; losses count from the better to the worse."""
    found = []
    for row in card.places[card.places["quality_verdict"].notna()].to_dict("records"):
        named = {name: row[f"quality_{name}"] for name in ("verdict", "difference", "low", "high")}
        unit = "" if row["solvable"] else str(row["unit"])
        lag = int(row["lag"]) if row["series"] != row["task"] else 0
        name = row["series"] if lag else row["task"]
        sure = _sure(card, row["task"], TUNED_BY if row["solvable"] else QUALITY_OF_LOSSES)
        found.append(_difference(words.spoken(str(name)), named, unit, float(row["span"]), lag)._replace(sure=sure))
    return found


def _difference(series: str, row: Mapping[Any, Any], unit: str, span: float, lag: int = 0) -> Difference:
    return Difference(series, lag, row["verdict"], row["difference"], row["low"], row["high"], unit, span)


def _at_lags(card: Card) -> list[str]:
    """Return the series in which single lags say more than the mean: of both signs, or at some lags only."""
    found = []
    own = card.effects[card.effects["variant"] == card.variant]
    for series, rows in own.groupby("series", sort=False):
        mean = rows.loc[rows["effect"] == MEAN, "verdict"].tolist()
        single = rows[rows["effect"] == AT_LAG]
        parts = [
            f"{word} at {_lags(single[single['verdict'] == sign])}"
            for sign, word in ((BETTER, "easier"), (WORSE, "harder"))
            if (single["verdict"] == sign).any()
        ]
        name = words.spoken(str(series))
        if len(parts) == 2:
            found.append(f"On {name} it depends on the lag: {words.listed(parts)}.")
        elif parts and not {BETTER, WORSE} & set(mean):
            found.append(f"On {name} it is {parts[0]}.")
    return found


def _lags(rows: Any) -> str:
    lags = [str(lag) for lag in rows["lag"]]
    return f"lag{'s' * (len(lags) > 1)} {words.listed(lags)}"


def _half_lags(card: Card) -> list[str]:
    """Return in which series the solve rate falls off earlier or later with the lag than that of the baseline."""
    parts = []
    for row in card.own_half_lags:
        if not row["significant"]:
            continue
        low, high = sorted((abs(row["doublings_low"]), abs(row["doublings_high"])))
        side = "earlier" if row["doublings"] < 0 else "later"
        size = f"{abs(row['doublings']):.1f} [{low:.1f}, {high:.1f}] doublings"
        parts.append(f"{side} on {words.spoken(row['series'])} (by {size})")
    return [f"Its solve rate falls off {words.listed(parts)} as the lag grows."] if parts else []


def _search(card: Card) -> str:
    with_criterion = card.places["solvable"].any()
    best = f"the best of {searched(card.points)} trials" if with_criterion else "test loss of the best decile"
    return f"After tuning ({best})"


# Sentences
# ----------------------------------------------------------------------------------------------------------------------


def _sentence(rows: Sequence[Difference], start: str, sides: tuple[str, str], what: str, card: Card) -> str:
    """Return what is said of one question: where it is better or worse, the same, not told apart, or without an answer.

    start: the words before it. sides: those for better and worse. what: the words after them.
    """
    by = {name: [row for row in rows if row.verdict == name] for name in {row.verdict for row in rows}}
    better, worse = by.get(BETTER, []), by.get(WORSE, [])
    baseline, parts = the(card.baseline), []
    for named, word in ((better, sides[0]), (worse, sides[1])):
        if named:
            parts.append(f"{word}{what} than {baseline} on {_with_sizes(named)}")
    if by.get(SAME):
        parts.append(f"the same as {baseline} within {_margin(by[SAME])} on {_named(by[SAME])}")
    if by.get(OPEN):
        parts.append(_open(by[OPEN], rows, baseline))
    for name, text in (NO_ANSWER if what else TUNED).items():
        if by.get(name):
            parts.append(f"{text} {_all_or(by[name], rows)}")
    depends = f"it {_depends(better, worse)} on the task: " if better and worse else ""
    return f"{start}, {depends}{'; '.join(parts)}."


def _with_sizes(rows: Sequence[Difference]) -> str:
    """Return where a difference was seen, each with its size and interval; the largest first where they are many."""
    ordered = sorted(rows, key=lambda row: -abs(row.difference) / row.span) if len(rows) > FEW_NAMED else list(rows)
    shown = [f"{row.where} (by {_size(row)})" for row in ordered[:FEW_NAMED]]
    if len(rows) > FEW_NAMED:
        shown.append(f"{len(rows) - FEW_NAMED} more")
    return words.listed(shown)


def _size(row: Difference) -> str:
    low, high = sorted((abs(row.low), abs(row.high)))
    ends = ", ".join(words.bare(end, row.unit) for end in (low, high))
    after = words.unit_of(row.unit).after_difference.replace("percentage points", "points")
    return f"{words.bare(abs(row.difference), row.unit)} [{ends}]{after}"


def _margin(rows: Sequence[Difference]) -> str:
    found = {words.amount(MARGIN * row.span, row.unit) for row in rows}
    return found.pop() if len(found) == 1 else "a tenth of the range that counts"


def _open(rows: Sequence[Difference], every: Sequence[Difference], baseline: str) -> str:
    """Return where the two are not told apart, and how large a difference may be all the same."""
    largest = {row.unit: row for row in sorted(rows, key=_limit)}
    shown = words.listed([_amount(row) for row in largest.values()])
    where = "" if len(rows) == len(every) == 1 else f" on {_all_or(rows, every)}"
    return f"not told apart from {baseline}{where}, where differences of up to {shown} remain possible"


def _amount(row: Difference) -> str:
    """Return the largest difference that the interval leaves possible."""
    return f"{words.bare(_limit(row))} in the score" if not row.unit else words.amount(_limit(row), row.unit)


def _limit(row: Difference) -> float:
    return max(abs(row.low), abs(row.high))


def _all_or(rows: Sequence[Difference], every: Sequence[Difference]) -> str:
    """Return where something holds: everywhere, on all the rest, or named."""
    if len(rows) == len(every) > 1:
        return "any task" if rows[0].verdict in (OPEN, NOTHING_LEARNED, HARDLY_SOLVED) else "all tasks"
    return _named(rows)


def _named(rows: Sequence[Difference]) -> str:
    series = {row.series: [other.lag for other in rows if other.series == row.series] for row in rows}
    if len(series) > FEW_NAMED:
        return f"{len(rows)} tasks"
    return words.listed([f"{name}{_at(lags)}" for name, lags in series.items()])


def _at(lags: Sequence[int]) -> str:
    return f" at lag{'s' * (len(lags) > 1)} {words.listed([str(lag) for lag in lags])}" if all(lags) else ""
