"""Made-up studies of a task at several lags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.study import Study
from tests.analysis.synthetic import by_hand

LAGS = (30, 60, 120)


def lagged(
    solved: Mapping[str, Sequence[int]], points: int = 20, lags: Sequence[int] = LAGS, **columns: Mapping[str, Any]
) -> Study:
    """A study of the series `adding` in which a variant solves its first points at each lag.

    solved: by variant, how many of its points at each lag.
    columns: other columns, each by variant.
    """
    tasks = {lag: f"adding_{lag}" for lag in lags}
    rows = [
        {
            "task": tasks[lag],
            "lag": lag,
            "variant": variant,
            "point": point,
            "status": "solved" if point < count else "finished",
            "solved_step": 100.0 if point < count else None,
            "score": 1.0 if point < count else 0.0,
            **{name: values.get(variant) for name, values in columns.items()},
        }
        for variant, counts in solved.items()
        for lag, count in zip(lags, counts, strict=True)
        for point in range(points)
    ]
    return by_hand(*rows, levels={"adding": list(tasks.values())}, points=points)
