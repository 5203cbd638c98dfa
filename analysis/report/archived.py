"""What a report says of a study whose variants were added to an archive: what comes from there, and does it fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import words
from ..study import Study

if TYPE_CHECKING:
    from runs.study.verifying import Check


def against(study: Study) -> list[str]:
    """Return a notice on which variants come from an archive, and one on whether its bits came out here.

    Both are missing where no variants were added to an archive.
    """
    known = archived(study.about)
    if not known:
        return []
    old = [variant for variant in study.variants if variant in known["variants"]]
    new = [variant for variant in study.variants if variant not in old]
    texts = []
    if old:
        trials = f"The {words.trials(len(_of(study, old)))} of {words.listed(old)}"
        texts.append(f"{trials} are those of the archive {known['archive']} ({_places(study, old)}).")
    if new:
        later = f"{words.listed(new)} ({_places(study, new)})"
        texts.append(f"Trained later, at the same points with the same seeds: {later}.")
    texts.append(f"All {len(study.variants)} variants count in every interval.")
    return [" ".join(texts), *_verdict(study)]


def of_archive(study: Study) -> str:
    """Return how many trials come from an archive, as text; empty where variants were not added to one."""
    known = archived(study.about)
    return f"{len(_of(study, known['variants']))} of them in the archive {known['archive']}" if known else ""


def archived(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a study says of the archive that its variants were added to; empty where there is none.

    about: facts stored with the trials, see `Study`.
    """
    known = about.get("against")
    if not isinstance(known, Mapping) or not isinstance(known.get("variants"), list):
        return {}
    return known if isinstance(known.get("archive"), str) else {}


def _of(study: Study, variants: Sequence[str]) -> pd.DataFrame:
    return study.table[study.table["variant"].isin(list(variants))]


def _places(study: Study, variants: Sequence[str]) -> str:
    """Return the code and the processors by which variants were trained."""
    facts = study.about.get("sessions") or [study.about]
    ran = [facts[k] for k in sorted(set(_of(study, variants)["session"])) if k < len(facts)]
    places = [f"code {own.get('commit', 'unknown')} on {own.get('processor', 'an unknown processor')}" for own in ran]
    return words.listed(list(dict.fromkeys(places))) or "code and processor unknown"


def _check(study: Study) -> Check | None:
    """Return what came out when trials of the archive were run again; None where that is not on record."""
    from runs.study.verifying import Check

    try:
        return Check.from_dict(archived(study.about)["check"])
    except (KeyError, TypeError, ValueError):
        return None


def _verdict(study: Study) -> list[str]:
    from runs.study.verifying import verdict

    check = _check(study)
    if check is None:
        return []
    off = [str(each) for each in check.reruns if not each.same]
    return [f"{verdict(check)} Trial by trial: {'. '.join(off)}." if off else verdict(check)]


def incomparable(study: Study) -> list[str]:
    """Return the verdict on a check whose differences rounding does not explain."""
    check = _check(study)
    return _verdict(study) if check is not None and (check.strangers or check.unsolved) else []
