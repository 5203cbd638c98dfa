"""What the command prints about a study: counts, failures, the time that is left, and who runs its trials."""

from __future__ import annotations

import os
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from ..arguments import command
from ..console.text import counted, duration, grid, loud, say, width, wrapped
from ..study.claiming import Queue
from ..study.study import Study
from ..study.trials import Held

STUCK_SECONDS = 30.0  # a trial may hang if it runs for longer than this and than STUCK_TIMES the longest one before
STUCK_TIMES = 3
NAMED = 3  # trials of other processes that a line names
SHOWN = 4  # trials that may hang and that are listed
REASONS = 3  # of failures
LETTERS = 400  # of a reason
COLUMNS = {  # what is counted, as `Study.counts` calls it, and as the table does
    "done": "finished",
    "solved": "solved",
    "finished": "unsolved",
    "exploded": "exploded",
    "diverged": "diverged",
    "pruned": "pruned",
    "failed": "failed",
    "running": "running",
    "waiting": "waiting",
}


def heading(study: Queue[Any, Any]) -> str:
    """Return the name of a study, and of its stage if it is one."""
    name, stage = study.design.name, study.plan.stage
    return name if stage == "search" else f"{name} {stage}"


def print_counts(study: Study) -> int:
    """Print a table of how many trials have which outcome, are running or waiting; returns how many failed.

    It has one row for each task, below it one for each variant, and one for all. What no trial is, is not shown.
    Failures are named on stderr.
    """
    counts = study.counts()
    total = _sum(counts.values())
    unsolvable = _without_criterion(study)
    outcomes = ("done", "finished") if unsolvable else ("done", "solved", "finished")  # shown also where they are 0
    columns = [column for column in COLUMNS if column in outcomes or (total[column] and column != "solved")]
    heads = COLUMNS | ({"finished": "trained"} if unsolvable else {})
    rows = []
    for task in dict.fromkeys(task for task, _ in counts):
        of_task = {variant: row for (its, variant), row in counts.items() if its == task}
        rows.append([task, *(str(_sum(of_task.values())[column]) for column in columns)])
        for variant, row in of_task.items():
            rows.append([f"  {variant}", *(str(row.get(column, 0)) for column in columns)])
    rows.append(["all", *(str(total[column]) for column in columns)])
    print(grid([heading(study), *(heads[column] for column in columns)], rows, width()), flush=True)
    if not study.part.whole:
        say(share(study))
    return print_failures(study)


def share(study: Study) -> str:
    """Return one line on how much of a study is the part of this process, and what belongs to others."""
    done, others = study.share - study.left(), study.size - study.share
    elsewhere = sum(not study.part.has(finished.index) for finished in study.finished_trials())
    there = f", {elsewhere} of which are finished here" if elsewhere else ""
    own = f"{study.part}: {done} of its {counted(study.share, 'trial')} finished"
    return f"{own}; {others} belong to other parts{there}"


def _sum(rows: Iterable[Mapping[str, int]]) -> Counter[str]:
    """Return the sum of counts, each by its name."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row)
    return total


def _without_criterion(study: Study) -> bool:
    """Return whether no task of a study can be solved, as far as its outcomes say it."""
    said = [finished.outcome.task for finished in study.finished_trials() if finished.outcome.task]
    return bool(said) and all(task["solved_loss"] is None for task in said)


def print_failures(study: Study) -> int:
    """Print on stderr how many trials failed, with what, which ones, and what to do about it; returns how many."""
    reasons: dict[str, list[str]] = {}
    for trial in study.failures():
        reason = trial.outcome.error.strip().partition("\n")[0]
        reasons.setdefault(reason, []).append(f"{trial.task} {trial.variant} {trial.index}")
    total = sum(map(len, reasons.values()))
    if total:
        them = "it" if total == 1 else "them"
        failed = loud(f"{counted(total, 'trial')} FAILED", sys.stderr)
        lines = [f"{failed} of {study.size}: action=retry puts {them} back"]
        for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1]))[:REASONS]:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            texts = f"{len(names)} x {reason[:LETTERS]}", f"in {', '.join(names[:NAMED])}{more}"
            lines += [textwrap.indent(wrapped(text, width() - 6), " " * 6) for text in texts]
            lines[-2] = "  " + lines[-2].lstrip()
        lines.append("  whole messages: column `error` of the table that action=export writes")
        print("\n".join(lines), file=sys.stderr, flush=True)
    return total


def outlook(left: int, times: Sequence[float], held: Sequence[Held]) -> list[str]:
    """Return lines on how long the rest takes, and on trials that do not look as if they would end.

    left: trials that have no outcome.
    times: seconds of those that have one.
    held: trials that have been claimed by a worker and have not ended.
    """
    running = [h for h in held if h.alive]
    longest = max(times, default=0.0)
    stuck = [h for h in running if times and h.seconds > max(STUCK_SECONDS, STUCK_TIMES * longest)]
    lines = []
    if left and times:
        mean = sum(times) / len(times)
        lines.append(f"left: {counted(left, 'trial')} of {mean:.1f} s; {_time_left(left * mean, running, stuck)}")
    lines += [f"may hang: {h}; the longest that ended took {longest:.1f} s" for h in stuck[:SHOWN]]
    lines += [f"runs no more: {h}; the same command without action=status runs it again" for h in held if not h.alive]
    return lines


def _time_left(seconds: float, running: Sequence[Held], stuck: Sequence[Held]) -> str:
    if stuck:
        return f"no telling how long, as {counted(len(stuck), 'trial')} may hang"
    if running:
        return f"about {duration(seconds / len(running))} with {len(running)} running"
    return f"about {duration(seconds)} with 1 running, but none is"


def in_other_hands(study: Queue[Any, Any]) -> str:
    """Return one line on the trials that processes of other commands run; it is empty if there are none."""
    own = {os.getpid(), *(p.pid for p in psutil.Process().children())}
    others = [h for h in study.held() if h.alive and not (h.here and h.worker["pid"] in own)]
    if not others:
        return ""
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    return (
        f"{heading(study)}: {counted(len(others), 'trial')} in the hands of other processes, which are waited for: "
        f"{', '.join(map(str, others[:NAMED]))}{more}; their trials are run again once they are gone"
    )


def next_step(study: Study, results: Path | str) -> str:
    """Return the line that says what to do with a study, or with its part, that is finished."""
    if not study.part.whole and sum(1 for _ in study.finished_trials()) < study.size:
        export = command("runs.sweep", results=results, name=study.design.name, action="export")
        merge = "python -m runs.sweep action=restore 'from=[one.parquet,other.parquet]'"
        return f"next: {export}; once all parts are finished, this merges their archives: {merge}"
    words = {"study": study.design.name}
    if not study.design.comparison:
        words["search"] = "yes"
    return f"next: {command('analysis', results=results, **words)}"


def result_file(study: Queue[Any, Any], what: str) -> str:
    """Return the name of a JSON file in the study's folder; the files of a stage begin with its name.

    what: the content, such as `design`.
    """
    return f"{what}.json" if study.plan.stage == "search" else f"{study.plan.stage}_{what}.json"
