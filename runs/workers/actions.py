"""What can be done with a study besides running it: status, stop, retry, repair and export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..arguments import command
from ..console.text import counted, say
from ..files import writable
from ..record.archive import ARCHIVE, load
from ..study.claiming import Queue
from ..study.finding import find
from ..study.part import WHOLE, Part
from ..study.storage.opening import open_storage
from ..study.storage.repair import repaired
from ..study.study import Study
from .accounting import read_cost
from .pool import sole_parent
from .status import outlook, print_counts, result_file
from .stop import GRACE_SECONDS, ask_to_stop, asked_to_stop

LISTED = 8  # running trials that `stop` names

Action = Callable[[str, Path, str, str], int]  # storage's URL, study's folder, its name, the stage; the exit code


def opened(url: str, folder: Path, name: str, stage: str = "search") -> Study:
    """Return a study that exists, or the one of its stages that was planned last.

    url: of the storage, empty for the journal in the folder.
    folder: of the study.
    name: of the study.
    stage: search, confirm or horizon.

    Raises ValueError if there is no such study or stage.
    """
    search = find(folder.parent, name, url)
    if stage == "search":
        return search
    planned = [study for study in Study.stages(search.storage, name) if study.plan.stage == stage]
    if not planned:
        raise ValueError(f"stage {stage} of study {name!r} has not been started in {folder.parent}")
    return planned[-1]


def status(url: str, folder: Path, name: str, stage: str, part: Part = WHOLE) -> int:
    """Print how far a study, or a stage of it, is, and what is left. The arguments are those of `opened`.

    part: what is left is counted of this part.

    Raises ValueError if a stored trial is not the one that the design has in its place.
    """
    study = opened(url, folder, name, stage)
    study.part = part
    print_counts(study)
    for line in study.pilot():
        say(line)
    times = [trial.outcome.seconds for trial in study.finished_trials()]
    for line in outlook(study.left(), times, study.held()):
        say(line)
    news = study.sessions.news(len(study.sessions.all()) - 1)
    if news:
        say(news)
    cost = read_cost(folder / result_file(study, "session"))
    if cost.get("trials") and "worker_seconds" in cost:
        overhead = (cost["worker_seconds"] - cost["trial_seconds"]) / cost["trials"]
        print(f"overhead of a trial beyond its own computation: {1000 * overhead:.0f} ms of its worker")
        if cost.get("mirrored"):
            print(
                f"  and {1000 * cost['mirror_seconds'] / cost['mirrored']:.0f} ms of the parent to write it to MLflow"
            )
        print(f"planning: {cost['planning_seconds']:.1f} s")
    study.refuse_strangers()
    return 0


def stop(url: str, folder: Path, name: str, stage: str) -> int:
    """Ask the workers of a study to finish the trial at hand and leave; asked a second time, to leave at once.

    It is for the workers of all stages. The arguments are those of `opened`.
    """
    return ask_workers(opened(url, folder, name, stage), folder)


def ask_workers(study: Queue[Any, Any], folder: Path) -> int:
    """Ask the workers of a study, or of a search for cells, to leave; returns the exit code.

    folder: in which the workers look for the request.
    """
    running = [h for h in study.held() if h.alive]
    again = asked_to_stop(folder) and bool(running)
    ask_to_stop(folder, at_once=again)
    if again:
        late = f"what hangs is ended after {GRACE_SECONDS:.0f} s"
        say(f"{study.plan.title}: workers leave at once and put their trials back; {late}")
    else:
        say(f"{study.plan.title}: workers leave after the trial at hand; action=run goes on")
    for h in running[:LISTED]:
        say(f"at hand: {h}")
    if running and not again:
        print("action=stop once more does not wait for them")
    return 0


def retry(url: str, folder: Path, name: str, stage: str) -> int:
    """Make the failed trials of a study, or of a stage, wait again. The arguments are those of `opened`."""
    study = opened(url, folder, name, stage)
    if not url:
        writable(folder)
    count = study.retry()
    runs = "; the same command with action=run runs them" if count else ""
    say(f"{study.plan.title}: {counted(count, 'failed trial')} put back{runs}")
    return 0


def repair(url: str, folder: Path, name: str, stage: str) -> int:
    """Keep what is intact of a damaged journal, and set aside records that are not those of their trials.

    A copy of the damaged journal is kept. All stages are repaired. The arguments are those of `opened`.
    """
    if not url:
        if not (folder / "journal.log").exists():
            find(folder.parent, name)  # says that the study does not exist
        with sole_parent(writable(folder)):
            for line in repaired(folder / "journal.log", name):
                say(line)
    storage = open_storage(url, folder)
    try:
        search = Study.open(storage, name)
    except KeyError:
        again = "the command that started it plans it again and finds the trials that are there"
        say(f"study {name!r}: its design is lost; {again}")
        return 0
    for study in (search, *Study.stages(storage, name)):
        count = study.set_aside()
        if count:
            say(f"{study.plan.title}: {counted(count, 'record')} of another trial than the one planned set aside")
    print(f"next: the command that started study {name!r}; it runs what is missing")
    return 0


def export(url: str, folder: Path, name: str, stage: str) -> int:
    """Write the table of a study with all its stages as `trials.parquet`. The arguments are those of `opened`.

    Pandas reads the file, and so does `python -m analysis from=...`.
    """
    opened(url, folder, name, stage)
    try:
        writable(folder)
    except ValueError as error:
        elsewhere = command("analysis", study=name, results=folder.parent, out="FOLDER")
        raise ValueError(f"{error}; {elsewhere} writes elsewhere") from None
    print(f"{folder / ARCHIVE}: {len(load(name, folder.parent, url).table)} trials")
    return 0


ACTIONS: dict[str, Action] = {"stop": stop, "retry": retry, "repair": repair, "export": export}
"""The actions that know no parts of a study; `status` does."""
