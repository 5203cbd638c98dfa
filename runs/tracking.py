"""`python -m runs.tracking study=quick`: write to MLflow what it does not have yet of a study."""

from __future__ import annotations

import sys
from pathlib import Path

from .arguments import key_values
from .console.start import end_quickly
from .console.text import complain
from .secrets_in_urls import without_password
from .study.presence import refuse_absent
from .study.storage.url import storage_url

KEYS = {
    "study": "name of the study; it must be given.",
    "results": "folder of all studies. Default: results.",
    "storage": "postgres (URL in STUDY_STORAGE) or a URL. Default: the journal in the study's folder.",
    "tracking": "server (URI in MLFLOW_TRACKING_URI), default (mlflow.db in the results folder) or a URI. "
    "Default: where the study was tracked.",
}


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    uri = ""
    try:
        values = key_values(arguments, KEYS, __doc__ or "")
        if values is None:
            return 0
        if "study" not in values:
            raise ValueError("say which study: study=...")
        if values.get("tracking") == "none":
            raise ValueError("tracking=none: this command only writes to MLflow; leave tracking out, or say where to")
        results = Path(values.get("results", "results"))
        url = storage_url(values)
        refuse_absent(results, values["study"], url)
        from .record.mirror import Mirror  # after the arguments: a mistake is reported before torch is imported
        from .record.places import default_uri, uri_of
        from .study.finding import find
        from .study.study import Study

        study = find(results, values["study"], url)
        uri = uri_of(study.facts, results, values.get("tracking", "")) or default_uri(results)
        written = there = 0
        for each in (study, *Study.stages(study.storage, values["study"])):
            mirror = Mirror(each, results, uri)
            written += mirror.catch_up(patient=True)
            there += len(mirror.done)
    except ValueError as error:
        complain(without_password(str(error), uri))
        return 2
    except Exception as error:  # clients raise errors of many kinds for a server that cannot be reached
        complain(f"mlflow: {_reason(error, without_password(uri))}")
        return 1
    print(f"{written} trials written, {there} in all, to experiment {study.design.name!r} in {without_password(uri)}")
    return 0


def _reason(error: Exception, place: str) -> str:
    """Return why MLflow could not be written."""
    from .record.tracking import Unusable

    if isinstance(error, Unusable):
        return str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"cannot write {error.filename}: {error.strerror}"
    return f"{place} is out of reach: {type(error).__name__}"


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
