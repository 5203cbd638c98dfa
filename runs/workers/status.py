"""What the command prints about a study: counts, failures, the time that is left, and who runs its trials."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from ..arguments import command
from ..console.text import counted, duration
from ..study.study import Study
from ..study.trials import Held

STUCK_SECONDS = 30.0  # a trial may hang if it runs for longer than this and than STUCK_TIMES the longest one before
STUCK_TIMES = 3
NAMED = 3  # trials of other processes that a line names
SHOWN = 4  # trials that may hang and that are listed
REASONS = 3  # of failures
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


def heading(study: Study) -> str:
    """Return the name of a study, and of its stage if it is one."""
    name, stage = study.design.name, study.plan.stage
    return name if stage == "search" else f"{name} {stage}"


def print_counts(study: Study) -> int:
    """Print a table of how many trials have which outcome, are running or waiting; returns how many failed.

    It has one row for each task and variant, and one for all. Failures are named on stderr.
    """
    rows = {f"{task} {variant}": row for (task, variant), row in study.counts().items()}
    rows["all"] = {column: sum(row.get(column, 0) for row in rows.values()) for column in COLUMNS}
    unsolvable = _without_criterion(study)
    columns = [column for column in COLUMNS if _shown(column, study, rows["all"], unsolvable)]
    width = max(len(name) for name in (heading(study), *rows))
    heads = COLUMNS | ({"finished": "trained"} if unsolvable else {})
    print(f"{heading(study):<{width}}  " + "  ".join(f"{heads[column]:>8}" for column in columns))
    for name, row in rows.items():
        print(f"{name:<{width}}  " + "  ".join(f"{row.get(column, 0):>8}" for column in columns))
    sys.stdout.flush()
    return print_failures(study)


def _shown(column: str, study: Study, total: Mapping[str, int], unsolvable: bool) -> bool:
    """Return whether a column says something of a study.

    total: the counts of all its trials. unsolvable: whether no task of it can be solved.
    """
    silent = {
        "pruned": study.design.comparison,
        "exploded": total["exploded"] == 0,
        "solved": unsolvable,
    }
    return not silent.get(column, False)


def _without_criterion(study: Study) -> bool:
    """Return whether no task of a study can be solved, as far as its outcomes say it."""
    said = [finished.outcome.task for finished in study.finished_trials() if finished.outcome.task]
    return bool(said) and all(task["solved_loss"] is None for task in said)


def print_failures(study: Study) -> int:
    """Print on stderr how many trials failed, with what, and what to do about it; returns how many."""
    reasons = Counter(error.strip().partition("\n")[0] for error in study.failures())
    total = sum(reasons.values())
    if total:
        them = "it" if total == 1 else "them"
        print(f"{counted(total, 'trial')} failed: action=retry puts {them} back", file=sys.stderr)
        for reason, count in reasons.most_common(REASONS):
            print(f"  {count} x {reason[:200]}", file=sys.stderr)
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


def in_other_hands(study: Study) -> str:
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
    """Return the line that says what to do with a study that is finished."""
    words = {"study": study.design.name}
    if not study.design.comparison:
        words["search"] = "yes"
    return f"next: {command('analysis', results=results, **words)}"


def result_file(study: Study, what: str) -> str:
    """Return the name of a JSON file in the study's folder; the files of a stage begin with its name.

    what: the content, such as `design`.
    """
    return f"{what}.json" if study.plan.stage == "search" else f"{study.plan.stage}_{what}.json"
