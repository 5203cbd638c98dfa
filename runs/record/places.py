"""Where the MLflow of a study is."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..console.known import meant
from ..secrets_in_urls import without_password

DEFAULT = "default"
"""Stored with a study instead of a URI: mlflow.db in the results folder, wherever that is now."""


def default_uri(results: Path) -> str:
    """Return the SQLite database in the results folder."""
    return f"sqlite:///{Path(results).resolve() / 'mlflow.db'}"


def stored_uri(uri: str, results: Path) -> str:
    """Return what is stored with a study of the MLflow that it is tracked in.

    Returns the URI without secrets, or `default` for the database in the results folder.
    """
    return DEFAULT if uri in ("", DEFAULT, default_uri(results)) else without_password(uri)


def uri_of(facts: Mapping[str, Any], results: Path, given: str = "") -> str:
    """Return the URI of the MLflow of a study; empty where it was not tracked.

    facts: stored with the study.
    results: the folder in which the study is now; it may have been copied or moved there.
    given: what the user says instead: a URI; `server` for the environment's MLFLOW_TRACKING_URI; `default` for the
        database in the results folder; `none` for nowhere.
    Raises ValueError for another word, and where only the facts name a place: they may be somebody else's.
    """
    ours, stored = os.environ.get("MLFLOW_TRACKING_URI", ""), str(facts.get("tracking_uri") or "")
    if given:
        return _given_uri(given, ours, results)
    if not stored or _is_default(facts, stored, results):
        return stored and default_uri(results)
    if ours and stored == without_password(ours):
        return ours
    raise ValueError(
        f"the study says that it is tracked in {stored!r}, which is neither in {results} nor MLFLOW_TRACKING_URI; "
        f"give {shlex.quote(f'tracking={stored}')} where you trust it, or tracking=default"
    )


def _given_uri(given: str, ours: str, results: Path) -> str:
    """Return the URI that the user means by a word or gives; `ours` is that of the environment."""
    if given == "server" and not ours:
        raise ValueError("tracking=server needs its URI in the environment: MLFLOW_TRACKING_URI=http://...")
    words = {"server": ours, DEFAULT: default_uri(results), "none": ""}
    is_uri = given == "databricks" or set(given) & set(":/")
    if given not in words and not is_uri:
        raise ValueError(f"tracking must be one of {', '.join(words)} or a URI, got {given!r}{meant(given, words)}")
    return words.get(given, given)


def _is_default(facts: Mapping[str, Any], stored: str, results: Path) -> bool:
    """Return whether a stored URI stands for the database in the results folder.

    Earlier versions stored the path that the database had at that time.
    """
    if stored in (DEFAULT, default_uri(results)):
        return True
    chosen = "tracking" in str(facts.get("command", ""))
    of_earlier_version = "study_id" not in facts and not chosen
    return of_earlier_version and stored.startswith("sqlite:////") and Path(stored).name == "mlflow.db"
