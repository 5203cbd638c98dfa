"""How near bounds on the likelihood come to the data, and which posteriors have collapsed, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from .. import words
from ..study import Study


def bound_sentences(study: Study, bounds: pd.DataFrame | None) -> list[str]:
    """Return a paragraph for each task on which a variant has latent variables; none without one.

    study: the study.
    bounds: of `tables.bounds.bounds`.
    """
    if bounds is None:
        return []
    return [_of_task(str(task), own, study.goals[str(task)].unit) for task, own in bounds.groupby("task", sort=False)]


def _of_task(task: str, own: pd.DataFrame, unit: str) -> str:
    latent = own[own["kl"].notna()].sort_values("bound", kind="stable")
    best = latent.iloc[0].to_dict()
    text = (
        f"{task}. Latent variables: the lowest bound of a best decile is {words.amount(best['bound'], unit)} "
        f"({best['variant']}; -ELBO {words.amount(best['negative_elbo'], unit)}, KL {words.amount(best['kl'], unit)})"
    )
    exact = own[own["kl"].isna()].sort_values("bound", kind="stable")
    if len(exact):
        first = exact.iloc[0]
        text += f", the lowest loss without latent variables {words.amount(first['bound'], unit)} ({first['variant']})"
    gone = latent[latent["collapsed"] > 0].to_dict("records")
    if not gone:
        return f"{text}. No posterior has collapsed: every trial uses its latent variables."
    return f"{text}. {' '.join(_collapse(row, unit) for row in gone)}"


def _collapse(row: Mapping[Any, Any], unit: str) -> str:
    """Return a sentence on a pair of which some trials do not use their latent variables."""
    used, of = (f"{row[name]:.3g}" for name in ("used_dimensions", "latent_dimensions"))
    each = words.amount(row["kl"] / row["latent_dimensions"], unit)
    return (
        f"The posterior of {row['variant']} has collapsed onto the prior in {row['collapsed']:.0%} of its trials; its "
        f"best decile uses {used} of {of} latent dimensions, with a KL of {each} per dimension."
    )
