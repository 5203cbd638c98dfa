"""Opens a study that adds variants to an archive: checks the archive's bits, stores its trials, says the cost."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ..configuration.against import Union
from ..console.text import counted, duration, say
from ..networks.building import untrained
from ..record.facts import alike, environment
from ..study.part import WHOLE, Part
from ..study.restoring import gathered, sessions_of, stored
from ..study.sessions import Facts
from ..study.stages import Stage
from ..study.storage.contract import Storage
from ..study.study import Study
from ..study.verifying import Check, lines, rerun, sample

if TYPE_CHECKING:
    import pandas as pd

    from ..study.plan import Plan, Search

RERUNS = 3
"""How many trials of the archive's baseline are run again before a new cell is trained."""


def created(storage: Storage, plan: Plan, search: Search, about: Facts, workers: int, part: Part = WHOLE) -> Study:
    """Open the study of a plan, as `Study.create` does; a union also gets the trials of its archive.

    Before a union is stored, trials of its baseline are run again, unless a session with the same code, versions and
    processor has done so.

    plan: the search, or a stage of it.
    search: that the configuration describes.
    about: facts of this session.
    workers: by which the time that is left is divided; 0 where that is not known.
    part: whose trials this process runs.

    Raises ValueError, and stores nothing, where a trial of the archive is not the one that the design has in its place.
    """
    if not isinstance(search, Union):
        return Study.create(storage, plan, about, part=part)
    if isinstance(plan, Stage) and not search.holds(plan):
        say(f"against {search.source}: it has no such {plan.stage} stage, so that all variants run it")
        return Study.create(storage, plan, about, part=part)
    arriving = gathered(plan, {search.source: search.archive}, plan.stage)
    if isinstance(plan, Stage):
        return Study.create(storage, plan, about, lambda study: stored(study, arriving), part)
    there = Study.known(storage, search)
    if there is not None and there.plan.length >= search.length and there.finished():
        return Study.create(storage, plan, about, part=part)
    slow = {label: eager(search, label) for label in search.new}  # a cell that cannot run is refused before any trial
    for line in search.notes:
        say(line)
    sessions = [] if there is None else there.sessions.all()
    known = known_check(sessions, search.archive.design.name)
    check = checked_bits(search) if known is None else known
    if known is None:
        say("\n".join(lines(check)))
    facts = {**about, "against": described(search, check)}

    def arrive(study: Study) -> None:
        stored(study, arriving)
        if sessions and known is None:
            study.sessions.begin(facts)

    study = Study.create(storage, plan, facts, arrive, part)
    say(cost(study, search, check, workers, slow))
    return study


def mirrored(plan: Plan, search: Search) -> list[str]:
    """Return the variants whose trials go to MLflow while they run; all where it is empty.

    The thousands of trials of an archive would take longer to write than a new variant takes to train.
    """
    if not isinstance(search, Union) or (isinstance(plan, Stage) and not search.holds(plan)):
        return []
    return search.new


# The check
# --------------------------------------------------------------------------------------------------------------------


def checked_bits(search: Union) -> Check:
    """Run a few of the archived trials of the baseline again in this process, and compare them to the last bit."""
    archive, baseline = search.archive, search.design.baseline
    table = archive.table
    rows = table[(table["variant"] == baseline) & (table["stage"] == "search")].to_dict("records")

    def began(name: str) -> None:
        print(f"run again: {name}", file=sys.stderr, flush=True)

    return rerun(search, sample(rows, RERUNS), sessions_of(archive, "search"), began)


def known_check(sessions: Sequence[Facts], archive: str) -> Check | None:
    """Return the check of an archive that a session with the environment of this process has made; None for none."""
    here = environment()
    for facts in reversed(sessions):
        known = facts.get("against") or {}
        if known.get("archive") == archive and alike(facts, here):
            return Check.from_dict(known["check"])
    return None


def described(search: Union, check: Check) -> dict[str, Any]:
    """Return what a union stores of its archive with the facts of a session."""
    return {
        "archive": search.archive.design.name,
        "source": search.source if search.source.startswith("archive:") else Path(search.source).name,
        "variants": list(search.archive.design.variants),
        "missing": search.missing,
        "check": check.as_dict(),
    }


# The cost
# --------------------------------------------------------------------------------------------------------------------


def cost(study: Study, search: Union, check: Check, workers: int, slow: Mapping[str, str]) -> str:
    """Return lines on what the trials that are left will take, by the times of the archive's variants.

    workers: by which that time is divided; 0 where their number is not known.
    slow: why the eager engine runs a new variant, by its label; empty where it does not.
    """
    left = {pair: row["waiting"] + row["running"] for pair, row in study.counts().items()}
    trials = study.left()
    if not trials:
        return f"cost: all trials of {', '.join(search.new)} are finished"
    share = trials / sum(left.values())
    seconds = expected_seconds(search.archive.table, left) * check.slowdown * share
    parallel = f", {duration(seconds / workers)} with workers={workers}" if workers > 1 else ""
    slower = "as long as there" if 0.95 < check.slowdown < 1.05 else f"{check.slowdown:.2g} times as long as there"
    said = [
        f"cost: {counted(trials, 'trial')} to run, about {duration(seconds)} of one core{parallel} (as long as the "
        f"archive's variants took at the same tasks; the trials that were run again took {slower})"
    ]
    for label, why in slow.items():
        if why:
            said.append(f"  {label} runs on the eager engine, several times as slowly: {why}")
    return "\n".join(said)


def expected_seconds(table: pd.DataFrame, left: Mapping[tuple[str, str], int]) -> float:
    """Return the seconds that trials will take: on each task the median of its variants' mean times.

    table: of the archive's trials.
    left: how many trials of each pair of a task and a variant are to be run.
    """
    ran = table[(table["stage"] == "search") & (table["status"] != "failed")]
    own: dict[str, list[float]] = {}
    for task, means in ran.groupby("task"):
        own[str(task)] = means.groupby("variant")["seconds"].mean().to_list()
    return sum(count * median(own.get(task, [0.0])) for (task, _), count in left.items())


def eager(search: Search, variant: str) -> str:
    """Return why the eager engine runs a variant on the first task where a faster one was asked for; empty if none."""
    network, _ = untrained(search.trial(next(iter(search.design.tasks)), variant, 0))
    return str(network.recurrent.why_eager)
