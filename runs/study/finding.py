"""Studies that were planned before: find one by its name, and read its trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..arguments import command
from ..console.known import instead
from ..record.rows import Row
from .presence import NoStudy, refuse_absent
from .storage.opening import close_storage, open_storage
from .study import Study


def find(results: Path, name: str, url: str = "") -> Study:
    """Return a study that was planned before; nothing is created.

    results: folder of all studies. url: of the storage, empty for the journal in the study's folder.
    Raises NoStudy, with the nearest name and those that there are.
    """
    refuse_absent(results, name, url)
    storage = open_storage(url, Path(results) / name)
    try:
        return Study.open(storage, name)
    except KeyError:
        known = storage.get_all_studies()
        studies = [s.study_name for s in known if "design" in s.user_attrs]
        names = sorted(name for name in studies if "/" not in name)
        close_storage(storage)
        if f"{name}/search" in {s.study_name for s in known}:
            other = command("runs.discover", results=results, name=name, action="status")
            raise NoStudy(f"{name!r} is a search for cells and no study; {other}") from None
        raise NoStudy(f"study {name!r} is not in its storage; {instead(name, names)}") from None
    except BaseException:
        close_storage(storage)
        raise


def records(results: Path, name: str, storage: str = "", stages: bool = False) -> tuple[list[Row], dict[str, Any]]:
    """Return the rows of a study, and its design as plain values with the facts and the sessions beside it.

    results: folder of all studies. storage: URL, empty for the journal in the study's folder.
    stages: whether to append the rows of the stages after the search, of each the one that was planned last; the
        plain values then have the plans of these as `stages`.
    Raises NoStudy where there is no such study.
    """
    study = find(results, name, storage)
    try:
        rows, values = study.records(), {**_described(study), "sessions": study.sessions.all()}
        if stages:
            last = {stage.plan.stage: stage for stage in Study.stages(study.storage, name)}
            rows += [row for stage in last.values() for row in stage.records()]
            values["stages"] = {
                kind: {**stage.facts, **stage.plan.as_dict(), "trials": stage.size, "sessions": stage.sessions.all()}
                for kind, stage in last.items()
            }
        return rows, values
    finally:
        close_storage(study.storage)


def _described(study: Study) -> dict[str, Any]:
    return {**study.plan.as_dict(), **study.facts}
