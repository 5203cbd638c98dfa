"""What a reader of a report must know before its numbers."""

from __future__ import annotations

import pandas as pd

from runs.record.archive import Archive

from .. import words
from ..study import Study
from ..tables.baselines import baselines
from ..tables.comparisons import FEWEST_FOR_INFERENCE
from ..tables.edges import edges
from .archived import against, archived, incomparable
from .condition_sentences import control_sentences

MOST_NAMED = {"messages": 3, "sessions": 3, "pairs": 6}


def notices(study: Study, found: pd.DataFrame | None = None) -> list[str]:
    """Return everything that limits what may be concluded from a study, the most important first.

    found: of `tables.edges.edges`; computed where it is not given.
    """
    found = edges(study) if found is None else found
    before, after = (_search, _incomplete, _failed, against, sessions, _eager, _autograd, _few), (_missing,)
    return [
        *(notice for part in before for notice in part(study)),
        *control_sentences(study).values(),
        *_exploded(study),
        *_guessed(study),
        *edge_notices(found),
        *(notice for part in after for notice in part(study)),
    ]


def urgent(study: Study) -> list[str]:
    """Return what limits everything in a report, and stands at its top: a search, missing or failed trials."""
    return [notice for part in (_search, _incomplete, _failed, incomparable, _few) for notice in part(study)]


def planned(study: Study) -> int:
    """Return how many trials the search has when it is complete."""
    points = study.design.points or int(study.table["point"].max() + 1)
    return len(study.variants) * len(study.tasks) * points


def _search(study: Study) -> list[str]:
    text = "This is a search: each variant got trials of its own or had some cut short. Nothing here compares variants."
    return [] if study.comparable else [text]


def _incomplete(study: Study) -> list[str]:
    done, all_of_them = len(study.table), planned(study)
    if done >= all_of_them:
        return []
    absent = Archive(study.every, study.design, study.about).missing
    pairs = [(count, pair) for (stage, *pair), count in absent.most_common() if stage == "search"]
    named = [f"{count} of {variant} on {task}" for count, (task, variant) in pairs]
    shown = f" Missing: {words.listed(named)}." if 0 < len(named) <= MOST_NAMED["pairs"] else ""
    return [f"The study is not complete: {done} of {all_of_them} trials have been run.{shown}"]


def _failed(study: Study) -> list[str]:
    failed = study.table[study.table["status"] == "failed"]
    if failed.empty:
        return []
    kinds = failed["error"].map(lambda text: (text.strip().splitlines() or ["no message"])[-1]).value_counts()
    most = MOST_NAMED["messages"]
    shown = "; ".join(f"{count} × {str(message)[:160]}" for message, count in kinds.head(most).items())
    more = f" and {len(kinds) - most} other messages" if len(kinds) > most else ""
    return [
        f"{words.trials(len(failed))} failed, that is, the program broke in {'it' if len(failed) == 1 else 'them'}; "
        f"{'it is' if len(failed) == 1 else 'they are'} left out of all statistics: "
        f"{shown}{more}."
    ]


def _exploded(study: Study) -> list[str]:
    counts = study.table.loc[study.table["status"] == "exploded"].groupby("variant", sort=False).size()
    if counts.empty:
        return []
    named = words.listed([f"{count} of {variant}" for variant, count in counts.items()])
    return [
        f"{words.trials(int(counts.sum()))} exploded, that is, the last loss was finite, but more than 3 times both "
        f"the floor and the loss before training ({named}). Such a trial counts, with the test loss at its best look."
    ]


def _guessed(study: Study) -> list[str]:
    """Return a notice for each task that random weights solve, which therefore tests no learning."""
    table = baselines(study)
    solved = table[(table["kind"] == "guessing") & (table["solved"] > 0)]
    return [
        f"{row['task']} is solved by {words.level(row['solved'], '%')} of random guesses of weights: it does not test "
        "learning."
        for row in solved.to_dict("records")
    ]


def sessions(study: Study) -> list[str]:
    """Return what to say where trials ran under different code, versions or processors.

    The variants of an archive and those that were added to it are looked at separately; `against` says the rest.
    """
    old = archived(study.about).get("variants", [])
    ours = study.table["variant"].isin(old)
    return [
        *_sessions(study, study.table[ours], "The archive has trials of more than one code, version or processor"),
        *_sessions(
            study,
            study.table[~ours],
            "The study was continued with other code, other versions or another processor than it began with",
        ),
    ]


def _sessions(study: Study, trials: pd.DataFrame, said: str) -> list[str]:
    from runs.record.facts import changes

    facts = study.about.get("sessions") or []
    counts = trials["session"].value_counts().sort_index()
    ran = [(k, facts[k]) for k in counts.index if k < len(facts)]
    different = [(k, changed) for k, own in ran[1:] if (changed := changes(ran[0][1], own))]
    if not different:
        return []
    most = MOST_NAMED["sessions"]
    shown = "; ".join(f"{counts[k]} trials in session {k} ({', '.join(changed)})" for k, changed in different[:most])
    more = f"; and {len(different) - most} other sessions" if len(different) > most else ""
    return [
        f"{said}, so that its numbers may differ in the last bits or more: {shown}{more}. The column session of the "
        "archive says which trial ran in which."
    ]


def _eager(study: Study) -> list[str]:
    eager = study.table[study.table["why_eager"] != ""]
    counts = eager.groupby(["variant", "why_eager"], sort=False, as_index=False).size()
    return [
        f"The eager engine ran {row['size']} trials of {row['variant']}, several times as slowly as a fused "
        f"kernel would: {row['why_eager']}."
        for row in counts.to_dict("records")
    ]


def _autograd(study: Study) -> list[str]:
    slow = study.table[(study.table["engine"] == "fused") & (study.table["why_autograd"] != "")]
    counts = slow.groupby(["variant", "task", "why_autograd"], sort=False, as_index=False).size()
    return [
        f"The updates of {row['size']} trials of {row['variant']} on {row['task']} were computed by autograd, more "
        f"slowly than in compiled code: {row['why_autograd']}."
        for row in counts.to_dict("records")
    ]


def _few(study: Study) -> list[str]:
    most = int(study.summary["trials"].max())
    text = (
        f"With at most {most} trials per variant and task nothing can be concluded from differences between variants."
    )
    return [text] if 0 < most < FEWEST_FOR_INFERENCE else []


def edge_notices(found: pd.DataFrame) -> list[str]:
    """Return a notice for each range at whose end the best trials, or the solved ones, pile up.

    found: of `tables.edges.edges`. A range that piles up on several tasks has one notice; the numbers are those of the
    task on which most of the best lie there.
    """
    texts = []
    for (name, end), own in found[found["notice"]].groupby(["hyperparameter", "end"], sort=False):
        row = own.sort_values("share", ascending=False, kind="stable").to_dict("records")[0]
        which, way = ("upper", "upwards") if end == "upper" else ("lower", "downwards")
        share, expected, outer, rest = (
            words.level(row[column], "%") for column in ("share", "expected", "solve_outer", "solve_rest")
        )
        solving = f", and {outer} of the trials there solve the task, against {rest} of the others"
        solving = solving if row["solve_outer"] == row["solve_outer"] else ""  # not NaN: the task can be solved
        others = [task for task in own["task"] if task != row["task"]]
        also = f"; so it does on {words.listed(others)}" if others else ""
        texts.append(
            f"Widen {name} {way}, unless it has a natural end there: on {row['task']} {share} of the best tenth of the "
            f"trials lie in its {which} tenth ({expected} expected){solving}{also}."
        )
    return texts


def _missing(study: Study) -> list[str]:
    absent = study.summary[study.summary["trials"] == 0]
    if absent.empty:
        return []
    most = MOST_NAMED["pairs"]
    pairs = ", ".join(f"{row['variant']} on {row['task']}" for row in absent.head(most).to_dict("records"))
    return [f"Without any trial: {pairs}{' and others' if len(absent) > most else ''}."]
