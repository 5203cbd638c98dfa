"""What is recorded of a study before its workers start: the facts of the session, and the design as a file."""

from __future__ import annotations

import json
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..files import write_whole
from ..record.facts import facts
from ..record.places import stored_uri
from ..study.study import Study
from .status import result_file


def facts_of_session(results: Path, tracking: str | None) -> dict[str, Any]:
    """Return what is stored with a session of a study: versions, commit, command, time, place of MLflow, and an id.

    The id stays with the study if it is created now. Whoever starts a study of the same name from nothing gets another
    id, and so another study.

    results: folder of all studies.
    tracking: URI of MLflow, empty for the one in the results folder; None if the study is not written to MLflow.
    """
    return {
        **facts(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tracking_uri": "" if tracking is None else stored_uri(tracking, results),
        "study_id": secrets.token_hex(8),
    }


def announce(study: Study, folder: Path) -> None:
    """Write the design of a study into its folder, and say on stderr what has changed since an earlier session."""
    write_design(study, folder)
    for line in (study.sessions.news(), changed_code(study)):
        if line:
            print(line, file=sys.stderr, flush=True)


def changed_code(study: Study) -> str:
    """Return one line on classes of the user's that were changed since trials of a study ran; empty where none was."""
    changed = study.changed_classes()
    if not changed:
        return ""
    was = "was" if len(changed) == 1 else "were"
    return (
        f"{', '.join(changed)} {was} changed since trials of this study ran, which keep the numbers of the code of "
        f"then; name={study.design.name}_2 trains all of them with that of now"
    )


def write_design(study: Study, folder: Path) -> None:
    """Write the design, or the stage, with the facts of its first session as JSON into the study's folder."""
    text = json.dumps({**study.plan.as_dict(), **study.facts}, indent=1)
    write_whole(folder / result_file(study, "design"), text + "\n")
