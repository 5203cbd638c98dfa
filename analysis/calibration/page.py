"""The tables of a calibration in Markdown, and the page that shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from runs.files import write_whole

from ..statistics.endpoints import EASE, QUALITY
from ..tables.lags import MEAN, SLOPE
from .errors import HALF_LAG, PROMISE, SOON
from .studies import SHARED

MARKERS = ("<!-- {}: begin -->", "<!-- {}: end -->")
TITLES = {
    EASE: "ease",
    QUALITY: "quality",
    SOON: "how soon",
    MEAN: "mean over lags",
    SLOPE: "per doubling",
    HALF_LAG: "half lag",
}


def tables(families: pd.DataFrame, whole: pd.DataFrame, power: pd.DataFrame) -> str:
    """Return the tables as text in Markdown.

    families, whole: of `errors.measured`, of all scenarios and numbers of points.
    power: of `power.powers`, of all numbers of points.
    """
    read = whole.groupby("points")["read"].max()
    counts = whole.groupby("points")["studies"].max()
    sure = [
        f"{count} studies with {points} points ({100 * np.sqrt(PROMISE * (1 - PROMISE) / count):.1f})"
        for points, count in counts.items()
    ]
    return "\n\n".join(
        [
            "### Errors where no variant differs",
            f"Each row rests on {_listed(sure)}; in brackets the standard error of a share of 5 %, in points. "
            "`wrong`: studies in which some of eleven equal variants is called better or worse. `covered`: studies in "
            "which all eleven simultaneous intervals include zero.",
            _families(families, (EASE, QUALITY, SOON)),
            "The same for effects over three lags, at which all variants fall alike:",
            _families(families, (MEAN, SLOPE, HALF_LAG)),
            "### Whole studies",
            "Studies with some error anywhere, over all tasks and questions, for which nothing is promised. Sentences "
            "and claims were read in "
            f"{_listed([f'{n} studies with {points} points' for points, n in read.items()])} of each kind. The last "
            "three columns say what became of the claims about variants: shares of all of them.",
            _whole(whole),
            "### What Greff's test does",
            "Welch's test on the best deciles, in the same studies: how many of the single comparisons it marks at its "
            "level of 5 %, and in how many studies it marks some of the eleven equal variants.",
            _welch(families),
            "### Power",
            f"A baseline solves half of its trials, ten variants as well, and one fewer by a difference. "
            f"{int(power['studies'].min())} studies each. `found`: the one is called worse. `others`: an equal one is "
            "called better or worse. `half width`: of the simultaneous intervals, in percentage points.",
            _power(power),
        ]
    )


def write_between_markers(page: Path, text: str, what: str = "calibration") -> None:
    """Write a text into a page, in place of what stands between its two markers.

    what: that the markers name: calibration or effects.

    Raises ValueError where the page does not have both.
    """
    first, last = (marker.format(what) for marker in MARKERS)
    before, begin, rest = page.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{page}: the page must have the lines {first} and {last}")
    write_whole(page, f"{before}{first}\n\n{text}\n\n{last}{after}")


def _families(families: pd.DataFrame, shown: tuple[str, ...]) -> str:
    head = [f"{TITLES[family]}, {column}" for column in ("wrong", "covered") for family in shown]
    known = families[families["family"].isin(shown)]
    rows = []
    groups = [(str(task), own) for task, own in known.groupby("task", sort=False)]
    if len(groups) > 1:
        groups.append(("**all**", known))
    for task, own in groups:
        for points, there in own.groupby("points"):
            means = there.groupby("family")[["wrong", "covered"]].mean()
            cells = [_percent(means[column].get(family, np.nan)) for column in ("wrong", "covered") for family in shown]
            rows.append([task, str(points), *cells])
    return _table(["truth", "points", *head], rows)


def _whole(whole: pd.DataFrame) -> str:
    columns = ["wrong", "stated", "claims_wrong", "right", "undecided", "unanswered"]
    head = ["verdict", "sentence", "claim", "claims right", "undecided", "not answered"]
    rows = [
        [row["scenario"], str(row["points"]), *(_percent(row[column]) for column in columns)]
        for row in whole.sort_values(["scenario", "points"], kind="stable").to_dict("records")
    ]
    return _table(["study", "points", *head], rows)


def _welch(families: pd.DataFrame) -> str:
    known = families[families["family"] == EASE]  # the test is the same for all endpoints
    rows = [
        [str(task), str(points), _percent(own["welch_each"].mean()), _percent(own["welch"].mean())]
        for (task, points), own in known.groupby(["task", "points"], sort=False)
    ]
    return _table(["truth", "points", "marked, each", "some variant marked"], rows)


def of_effects(effects: pd.DataFrame) -> str:
    """Return how often effects of parts are found in made-up studies, and others that are not there, in Markdown.

    effects: of `effects.effect_powers`, of all numbers of points.
    """
    studies = int(effects["studies"].min())
    error = 100 * np.sqrt(PROMISE * (1 - PROMISE) / studies)
    text = (
        f"Six parts in all 64 combinations, or in half of them, {studies} made-up studies of each kind; a share of 5 % "
        f"has a standard error of {error:.1f} points. The combinations solve half of their trials on the whole, and "
        f"{100 * SHARED:.0f} % of the variance of a trial's luck is that of its point, or 90 % where points differ "
        "more. `found`: of the effects that are there. `wrong`: some effect that is not there is told apart. "
        "`covered`: all intervals include the true effects. `half width`: of the intervals, in percentage points."
    )
    heads = ["effects, in points of the solve rate", "points", "found", "wrong", "covered", "half width"]
    rows = [
        [
            row["kind"],
            str(row["points"]),
            *(_percent(row[name]) for name in ("found", "wrong", "covered")),
            f"± {100 * row['half_width']:.0f}",
        ]
        for row in effects.sort_values("points", kind="stable").to_dict("records")
    ]
    return f"{text}\n\n{_table(heads, rows)}"


def _power(power: pd.DataFrame) -> str:
    rows = [
        [
            f"{100 * row['difference']:.0f}",
            str(row["points"]),
            *(_percent(row[column]) for column in ("found", "others", "covered")),
            f"± {100 * row['half_width']:.0f}",
        ]
        for row in power.sort_values(["difference", "points"]).to_dict("records")
    ]
    return _table(["difference, points of the solve rate", "points", "found", "others", "covered", "half width"], rows)


def _percent(share: float) -> str:
    return "" if np.isnan(share) else f"{100 * share:.1f} %"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    align = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, align, *rows])
