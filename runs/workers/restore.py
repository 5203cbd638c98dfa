"""The action `restore`: a study goes on from its archive, or from the archives of its parts."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..arguments import on_record
from ..console.text import counted, say
from ..files import writable
from ..record.archive import Archive, read_archive
from ..record.rows import of_stage
from ..record.shipped import located
from ..rules import require
from ..study.design import differences
from ..study.plan import Search
from ..study.restoring import Restored, Sources, arrive, listed, prepared, sessions_of
from ..study.storage.opening import open_storage
from ..study.study import Study
from ..study.trials import Place
from ..study.verifying import Row, lines, rerun, sample
from .planning import write_design
from .pool import sole_parent
from .status import next_step, print_failures

WHERE = ("action", "from", "verify", "results", "storage", "tracking", "workers", "trial_seconds", "stage")
"""Arguments that do not describe a study."""


def restore(given: Any, verify: int, search: Search, asked: Mapping[str, str], url: str, results: Path) -> int:
    """Restore a study and its stages from archives, and say how to go on; returns the exit code.

    The study is that of the archives. If the command names one, by its preset or by values of its own, it must be the
    same.

    given: the archive, or a list of archives, as the user names them.
    verify: how many of the restored trials are run again.
    search: that the command describes.
    asked: the arguments by the keys that they set.
    url: of the storage, empty for the journal in the study's folder.
    results: folder of all studies.

    Raises ValueError, and writes nothing, where archives, the study that is there, or the command differ.
    """
    sources = _sources(given)
    name = _name(sources, search, asked)
    folder = results / name
    there = open_storage(url, folder) if url or (folder / "journal.log").exists() else None
    trials = prepared(sources, name, there)
    with sole_parent(writable(folder)):
        found = arrive(there or open_storage(url, folder), trials)
        for each in found:
            write_design(each.study, folder)
            say(_told(each, sources))
    study = found[0].study
    news = "" if study.finished() else study.sessions.news_here()
    for line in [*_notes(study, sources), news]:
        if line:
            print(line, file=sys.stderr, flush=True)
    if verify and found[0].stored:
        _verify(found[0], sources, verify)
    print_failures(study)
    print(_next(study, results))
    return 0


def _sources(given: Any) -> Sources:
    """Return the archives that the user names."""
    names = [str(name) for name in (given if isinstance(given, list) else [given])]
    example = "from=trials.parquet, 'from=[one.parquet,other.parquet]' or from=archive:NAME"
    require(all(names) and bool(names), f"action=restore needs archives, as in {example}", given)
    require(len({*names}) == len(names), "from must name different archives", names)
    return {name: read_archive(located(name)) for name in names}


def _name(sources: Sources, search: Search, arguments: Mapping[str, str]) -> str:
    """Return the name of the study that is restored.

    arguments: by the keys that they set.

    Raises ValueError where the command describes another study than that of the archives.
    """
    asked = {key: argument for key, argument in arguments.items() if key.partition(".")[0] not in WHERE}
    (first, archive), *_ = sources.items()
    if "stage" in arguments:
        raise ValueError(f"{arguments['stage']}: is not read with action=restore, which restores all stages")
    if "study" not in asked:
        for key, argument in asked.items():
            if key != "name":
                raise ValueError(f"{argument}: is not read with action=restore; the design is that of {first}")
        return search.design.name if asked else archive.design.name
    kept = {} if "name" in asked else {"name": archive.design.name}
    there = {**archive.design.fixed(), "name": search.design.name, **kept}
    found = differences(there, search.design.fixed(), f"in {first}", "in the command")
    if found:
        raise ValueError(
            f"from: {first} is the archive of another study ({listed(found)}); without study= it is restored as it is"
        )
    return search.design.name


def _told(restored: Restored, sources: Sources) -> str:
    """Return what became of a study or a stage."""
    study = restored.study
    done = sum(1 for _ in study.finished_trials())
    parts = [f"{counted(restored.stored, 'trial')} restored from {', '.join(sources)}"]
    if restored.there:
        parts.append(f"{restored.there} were there with the same numbers")
    if restored.replaced:
        parts.append(f"{restored.replaced} of them instead of a failure here, which does not count any more")
    return f"{study.plan.title}: {'; '.join(parts)}; {done} of {counted(study.size, 'trial')} finished"


def _notes(study: Study, sources: Sources) -> list[str]:
    """Return lines on what an archive does not hold of a search with a sampler or a pruner."""
    design = study.design
    lines = []
    if design.sampler == "cmaes":
        lines.append(
            "sampler=cmaes: what the sampler has learned is in no archive; it starts again beside these trials"
        )
    if design.pruner != "none" and any(_without_curves(archive) for archive in sources.values()):
        lines.append(f"pruner={design.pruner}: the archive has no curves, so that these trials prune no others")
    return lines


def _without_curves(archive: Archive) -> bool:
    return not archive.table["curve_steps"].map(len).any()


def _verify(restored: Restored, sources: Sources, count: int) -> None:
    """Run some of the restored trials again, and say whether they have the same bits here."""
    assert isinstance(restored.study.plan, Search)
    rows, sessions = _sample(restored, sources, count)
    if not rows:
        say("no restored trial was trained to its end, so that none is run again")
        return
    say(f"running {counted(len(rows), 'restored trial')} again, to compare their bits (verify=0 leaves it out)")
    try:
        check = rerun(restored.study.plan, rows, sessions)
    except ValueError as error:  # its data are not here
        say(f"no restored trial could be run again: {error}")
        return
    say("\n".join(lines(check)))


def _sample(restored: Restored, sources: Sources, count: int) -> tuple[Sequence[Row], list[Mapping[str, Any]]]:
    """Return rows of a search that came from archives and are worth running again, and the sessions that they name."""
    rows: dict[Place, Row] = {}
    sessions: list[Mapping[str, Any]] = []
    for archive in sources.values():
        first = len(sessions)
        sessions += sessions_of(archive, "search")
        for row in of_stage(archive.table, "search").to_dict("records"):
            place = row["task"], row["variant"], row["point"]
            if place in restored.places:
                rows.setdefault(place, {**row, "session": first + row["session"]})
    return sample([*rows.values()], count), sessions


def _next(study: Study, results: Path | str) -> str:
    """Return the line with the command that goes on."""
    if study.finished():
        return next_step(study, results)
    words = shlex.split(on_record(study.facts.get("command"), results=results))
    name = study.design.name
    if words[2:3] != ["runs.sweep"]:
        return f"next: the command that started study {name!r}"
    again = shlex.join(word for word in words if not word.startswith(("part=", "storage=", "storage.url=")))
    named = () if name in (_value(words, "name"), _value(words, "study")) else (f"name={name}",)
    return f"next: {on_record(again, *named)}"


def _value(words: Sequence[str], key: str) -> str:
    return next((word.partition("=")[2] for word in words if word.startswith(f"{key}=")), "")
