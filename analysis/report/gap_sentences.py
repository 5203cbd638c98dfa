"""How far training and validation loss come apart, in sentences computed from the numbers."""

from __future__ import annotations

import pandas as pd

from .. import words
from ..study import Study


def gap_sentences(study: Study, gaps: pd.DataFrame | None) -> list[str]:
    """Return a paragraph for each task with a training set; none without one.

    study: the study.
    gaps: of `tables.gaps.gaps`.
    """
    if gaps is None:
        return []
    known = gaps[gaps["trials"] > 0]
    return [_of_task(str(task), own, study.goals[str(task)].unit) for task, own in known.groupby("task", sort=False)]


def _of_task(task: str, own: pd.DataFrame, unit: str) -> str:
    named = []
    for row in own.to_dict("records"):
        best, end = (words.signed(row[name], unit or "loss") for name in ("gap_best", "gap_end"))
        named.append(f"{row['variant']} {best} and {end}")
    rose = own["validation_end"] - own["validation_best"]
    most = own.iloc[int(rose.to_numpy().argmax())]
    return (
        f"{task}. Over-fitting: validation minus training loss{words.in_unit(unit)} of the best decile, at the best "
        f"look of each trial and at its last one: {words.listed(named)}. From the best look to the last one the "
        f"validation loss rises most for {most['variant']}, by {words.amount(float(rose.max()), unit)} (epoch "
        f"{most['epochs_best']:.0f} to {most['epochs_end']:.0f})."
    )
