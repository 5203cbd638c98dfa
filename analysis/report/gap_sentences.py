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
    ordered = own.sort_values("gap_end", kind="stable").to_dict("records")
    ends = [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered
    gaps = " to ".join(f"{words.signed(row['gap_end'], unit or 'loss')} ({row['variant']})" for row in ends)
    rose = own["validation_end"] - own["validation_best"]
    most = own.iloc[int(rose.to_numpy().argmax())]
    return (
        f"{task}. Over-fitting: validation minus training loss, at the last look of the trials of the best decile, is "
        f"{gaps}{words.in_unit(unit)}. From the best look to the last one the "
        f"validation loss rises most for {most['variant']}, by {words.amount(float(rose.max()), unit)} (epoch "
        f"{most['epochs_best']:.0f} to {most['epochs_end']:.0f})."
    )
